import { MantineProvider } from "@mantine/core";
import { QueryClientProvider, type QueryClient } from "@tanstack/react-query";
import { createMemoryHistory, createRootRouteWithContext, createRouter, RouterProvider, type AnyRoute } from "@tanstack/react-router";
import { render, type RenderResult } from "@testing-library/react";
import { Suspense, type ReactNode } from "react";
import { newQueryClient } from "../api/query";
import { sessionQuery, type Session } from "../api/session";
import type { FeatureRoutes } from "../lib/feature";
import { cssVariables, theme } from "../ui/theme";

/** Somebody to be signed in as. */
export const an: Session = {
  person: {
    id: "person-an",
    name: "Nguyễn Văn An",
    given_name: "An",
    title: "Chuyên viên",
    unit: "Văn phòng Bộ",
    agency_id: "agency-noivu",
    agency_name: "Bộ Nội vụ",
    agency_short: "Bộ Nội vụ",
    address: "an@noivu.g2g.example",
  },
  positions: [
    { id: "position-an", title: "Chuyên viên", unit_id: "unit-vanphong", unit: "Văn phòng Bộ", agency_id: "agency-noivu", agency_name: "Bộ Nội vụ", kind: "main" },
  ],
  grants: [],
  expires_at: "2099-01-01T00:00:00Z",
  locked: false,
  idle_lock: 0,
};

interface Options {
  session?: Session | null;
  queryClient?: QueryClient;
}

function testClient({ session = an, queryClient = newQueryClient(() => {}) }: Options): QueryClient {
  queryClient.setQueryData(sessionQuery.queryKey, session);
  return queryClient;
}

/** Renders a component that needs no router: theme, texts (Vietnamese) and queries are there. */
export function renderPart(part: ReactNode, options: Options = {}): RenderResult {
  return render(
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} env="test">
      <QueryClientProvider client={testClient(options)}>
        <Suspense fallback="…">{part}</Suspense>
      </QueryClientProvider>
    </MantineProvider>,
  );
}

/** Renders a feature's routes at an address: renderRoutes(routes, "/chat/1"). */
export function renderRoutes(routes: FeatureRoutes, address: string, options: Options = {}): RenderResult & { address: () => string } {
  const queryClient = testClient(options);
  const root = createRootRouteWithContext<{ queryClient: QueryClient }>()();
  const router = createRouter({
    routeTree: root.addChildren(routes(root as unknown as AnyRoute)),
    context: { queryClient },
    history: createMemoryHistory({ initialEntries: [address] }),
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (search) => {
      const text = new URLSearchParams(Object.entries(search).map(([k, v]) => [k, String(v)])).toString();
      return text ? `?${text}` : "";
    },
  });
  const shown = render(
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} env="test">
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return { ...shown, address: () => router.state.location.href };
}
