import type { QueryClient } from "@tanstack/react-query";
import { type AnyRoute, createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { sessionQuery } from "../api/session";
import { i18n } from "../lib/i18n";
import { paths } from "../lib/paths";
import { PageSkeleton } from "../ui/States";
import { features } from "./features";
import { BareError, NotFoundPage, PageError } from "./fallbacks";

interface Context {
  queryClient: QueryClient;
}

/** Plain query strings, so that links read as people expect: ?with=… */
function parseSearch(text: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(text));
}

function stringifySearch(search: Record<string, unknown>): string {
  const kept = Object.entries(search).filter(([, v]) => v !== undefined && v !== "");
  const text = new URLSearchParams(kept.map(([k, v]) => [k, String(v)])).toString();
  return text ? `?${text}` : "";
}

/** root → sign-in, and behind it: bare pages (a full-window call) and the frame with all others. */
export function newRouter(queryClient: QueryClient) {
  const root = createRootRouteWithContext<Context>()({ component: Outlet });
  const signIn = createRoute({ getParentRoute: () => root, path: "/sign-in", component: lazyRouteComponent(() => import("./SignInPage"), "SignInPage") });
  const signedIn = createRoute({
    getParentRoute: () => root,
    id: "signed-in",
    component: lazyRouteComponent(() => import("./SignedIn"), "SignedIn"),
    errorComponent: BareError,
    beforeLoad: async ({ context, location }) => {
      const session = await context.queryClient.ensureQueryData(sessionQuery);
      if (!session) throw redirect(paths.signIn({ to: location.href === "/" ? undefined : location.href }));
    },
  });
  const frame = createRoute({ getParentRoute: () => signedIn, id: "frame", component: lazyRouteComponent(() => import("./Frame"), "Frame"), errorComponent: BareError });
  const nowhere = createRoute({ getParentRoute: () => frame, path: "$", component: NotFoundPage });

  // Whose texts a route's page speaks.
  const speaks = new Map<AnyRoute, string>();
  const of = (name: string, routes: AnyRoute[]) => routes.map((r) => (speaks.set(r, name), r));
  const forFew = new Set(features.filter((f) => f.useShown).map((f) => f.name));
  const routeTree = root.addChildren([
    signIn,
    signedIn.addChildren([
      frame.addChildren([...features.flatMap((f) => of(f.name, f.routes(frame))), nowhere]),
      ...features.flatMap((f) => of(f.name, f.bareRoutes?.(signedIn) ?? [])),
    ]),
  ]);
  const router = createRouter({
    routeTree,
    context: { queryClient },
    parseSearch,
    stringifySearch,
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    defaultPendingComponent: PageSkeleton,
    defaultErrorComponent: PageError,
    defaultNotFoundComponent: NotFoundPage,
  });
  const fetchAhead = (routes: Iterable<AnyRoute | undefined>) => {
    const failsAgain = () => {}; // when the page is drawn, where there are words for it
    for (const route of routes) {
      if (!route) continue;
      void router.loadRouteChunk(route)?.catch(failsAgain);
      const texts = speaks.get(route);
      if (texts) void i18n.loadNamespaces(texts).catch(failsAgain);
    }
  };
  const all = router.routesById as Record<string, AnyRoute>;
  return {
    router,
    /** The first page's code and texts come while the server is asked who is signed in, not after. */
    preload: () => fetchAhead(router.matchRoutes(router.latestLocation).map((m) => all[m.routeId])),
    /** All other pages' too, so that they open at once, and even when the network has gone meanwhile; but for what few may see. */
    preloadRest: () => fetchAhead(Object.values(all).filter((r) => !forFew.has(speaks.get(r) ?? ""))),
  };
}
