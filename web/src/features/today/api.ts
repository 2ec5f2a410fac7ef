import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { codeOf } from "../../api/error";
import type { components } from "../../api/schema";

export type Meeting = components["schemas"]["MeetingView"];
export type Letter = components["schemas"]["MessageSummary"];

/** The overview's own reads; what a socket brings makes them ask again at once. */
const fallback = 60_000;

/** Those that people are in, and those one can still come to, the soonest first. */
export const nextMeetings = queryOptions({
  queryKey: ["today", "meetings"],
  queryFn: async (): Promise<Meeting[]> => ((await data(api.GET("/api/v1/meetings"))).meetings ?? []).filter((m) => !m.past || m.present > 0),
  refetchInterval: fallback,
});

interface Mail {
  unread: number;
  newest: Letter[];
  /** There never was any. */
  none: boolean;
}

/** How much mail waits, and the newest of it; null while this server has no mail. */
export const unreadMail = queryOptions({
  queryKey: ["today", "mail"],
  queryFn: async (): Promise<Mail | null> => {
    try {
      const { unread } = await data(api.GET("/api/v1/mail/summary"));
      const mailboxes = (await data(api.GET("/api/v1/mail/mailboxes"))).mailboxes ?? [];
      const none = mailboxes.every((m) => m.total === 0);
      const mailbox = mailboxes.find((m) => m.role === "inbox")?.id;
      if (unread === 0 || !mailbox) return { unread, newest: [], none };
      const { messages } = await data(api.GET("/api/v1/mail/mailboxes/{mailbox}/messages", { params: { path: { mailbox }, query: { limit: 50 } } }));
      return { unread, newest: (messages ?? []).filter((m) => !m.seen), none };
    } catch (err) {
      if (codeOf(err) === "not_found") return null;
      throw err;
    }
  },
  refetchInterval: fallback,
});
