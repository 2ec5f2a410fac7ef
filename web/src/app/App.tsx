import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { codeOf } from "../api/error";
import { newQueryClient } from "../api/query";
import { activePosition, onPositionRefused, onSessionEnded } from "../api/session-state";
import { sessionQuery } from "../api/session";
import { i18n } from "../lib/i18n";
import { paths } from "../lib/paths";
import { cssVariables, theme } from "../ui/theme";
import { toast } from "../ui/toast";
import { cspNonce } from "./nonce";
import { newRouter } from "./router";

// The first paint does not wait for these, and they wait until the page has a moment:
// but they are there before the network can be gone, to say so.
const idle = () => new Promise<void>((done) => ("requestIdleCallback" in window ? requestIdleCallback(() => done(), { timeout: 5000 }) : setTimeout(done, 1000)));
const Toasts = lazy(() => idle().then(() => import("../ui/Toasts")));

const queryClient = newQueryClient((err) => {
  const known = ["offline", "unavailable", "forbidden", "not_found", "gone", "rate_limited"];
  const code = known.includes(codeOf(err)) ? codeOf(err) : "internal";
  toast.show({
    id: `error-${code}`,
    color: "red",
    title: i18n.t(`ui:errors.${code}.title`),
    message: i18n.t(`ui:errors.${code}.text`),
  });
});

const { router, preload, preloadRest } = newRouter(queryClient);

/** Called once, when texts can be loaded. */
export function fetchPages(): void {
  preload();
  void idle().then(preloadRest);
}

onSessionEnded(() => {
  // Only somebody who was signed in has a session that can end.
  if (!queryClient.getQueryData(sessionQuery.queryKey)) return;
  queryClient.setQueryData(sessionQuery.queryKey, null);
  void router.navigate(paths.signIn({ to: router.state.location.href, ended: "1" }));
});

onPositionRefused(() => {
  const before = activePosition();
  void queryClient.refetchQueries({ queryKey: sessionQuery.queryKey }).then(() => {
    if (!before || activePosition()) return;
    toast.show({ id: "position-ended", message: i18n.t("app:position.ended") });
    void queryClient.resetQueries({ predicate: (q) => q.queryKey[0] !== "session" && q.queryKey[0] !== "info" });
  });
});

/** Everything around the pages. */
export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto" getStyleNonce={cspNonce}>
      <QueryClientProvider client={queryClient}>
        <Suspense fallback={null}>
          <Toasts />
        </Suspense>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}
