import { queryOptions } from "@tanstack/react-query";
import { api, data, raw } from "../../api/client";
import { codeOf } from "../../api/error";

/** The same keys as the features' own lists would make copies; these are the overview's own reads. */
export const nextMeetings = queryOptions({
  queryKey: ["today", "meetings"],
  queryFn: async () => (await data(api.GET("/api/v1/meetings"))).meetings ?? [],
  refetchInterval: 60_000,
});

/** Null while this server has no mail. */
export const mailSummary = queryOptions({
  queryKey: ["today", "mail"],
  queryFn: async (): Promise<{ unread: number } | null> => {
    try {
      return (await (await raw("GET", "/api/v1/mail/summary")).json()) as { unread: number };
    } catch (err) {
      if (codeOf(err) === "not_found") return null;
      throw err;
    }
  },
  refetchInterval: 60_000,
});
