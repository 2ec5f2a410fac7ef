import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError, codeOf } from "./error";

declare module "@tanstack/react-query" {
  interface Register {
    mutationMeta: {
      /** The caller shows the error beside what caused it; no notification. */
      inline?: boolean;
    };
  }
}

/**
 * The one funnel for errors. 401 went to sign-in already (client.ts); queries
 * show theirs in the page (ErrorState); a mutation's error becomes a
 * notification unless it is meta.inline.
 */
export function newQueryClient(onLoneError: (err: unknown) => void): QueryClient {
  return new QueryClient({
    queryCache: new QueryCache(),
    mutationCache: new MutationCache({
      onError: (err, _vars, _ctx, mutation) => {
        const said = ["unauthenticated", "locked"].includes(codeOf(err)); // at sign-in; by who would not prove themselves
        if (!said && !mutation.meta?.inline) onLoneError(err);
      },
    }),
    defaultOptions: {
      // Ours is the server's network, not the Internet: "offline" of the browser says little, and a
      // question that waits for it would show a skeleton for ever. It fails in words, and is asked anew.
      queries: {
        networkMode: "always",
        refetchOnReconnect: true,
        staleTime: 30_000,
        retry: (count, err) =>
          count < 2 && err instanceof ApiError && (err.code === "offline" || err.code === "unavailable"),
      },
      mutations: { retry: false, networkMode: "always" },
    },
  });
}
