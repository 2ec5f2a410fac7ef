import { queryOptions } from "@tanstack/react-query";
import { api, data } from "./client";
import type { components } from "./schema";

export type Conversation = components["schemas"]["Conversation"];
export type ConversationMember = components["schemas"]["ConversationMember"];
export type ConversationEvent = components["schemas"]["ConversationEvent"];

/**
 * My conversations, newest first. The chat socket keeps them fresh and asks
 * anew where it must, so they never go stale by themselves.
 */
export const conversationsQuery = queryOptions({
  queryKey: ["chat", "conversations"],
  queryFn: async (): Promise<Conversation[]> => (await data(api.GET("/api/v1/chat/conversations"))).conversations,
  staleTime: Infinity,
});

/** The other person of a direct conversation. */
export function otherOf(c: Conversation, me: string): ConversationMember | undefined {
  return c.kind === "direct" ? (c.members.find((m) => m.id !== me) ?? c.members[0]) : undefined;
}
