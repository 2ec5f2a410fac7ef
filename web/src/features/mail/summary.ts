import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { api, data } from "../../api/client";

/** What the rail needs of mail on every page; api.ts has the rest. */

/** Milliseconds. The socket says when something has changed; this is for when it is away. */
export const fallback = 60_000;

export const summaryQuery = queryOptions({
  queryKey: ["mail", "summary"],
  queryFn: () => data(api.GET("/api/v1/mail/summary")),
  refetchInterval: fallback,
});

/** Reads everything of mail again that is shown. */
export async function refreshMail(client: QueryClient): Promise<void> {
  await Promise.all([client.invalidateQueries({ queryKey: ["mail"] }), client.invalidateQueries({ queryKey: ["today", "mail"] })]);
}
