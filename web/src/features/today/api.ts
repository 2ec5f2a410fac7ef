import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";

/** The same keys as the features' own lists would make copies; these are the overview's own reads. */
export const nextMeetings = queryOptions({
  queryKey: ["today", "meetings"],
  queryFn: async () => (await data(api.GET("/api/v1/meetings"))).meetings ?? [],
  refetchInterval: 60_000,
});

export const mailSummary = queryOptions({
  queryKey: ["today", "mail"],
  queryFn: () => data(api.GET("/api/v1/mail/summary")),
  refetchInterval: 60_000,
});
