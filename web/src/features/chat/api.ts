import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { conversationsQuery, type Conversation } from "../../api/conversations";
import type { PersonView } from "../../lib/names";
import type { LogEvent } from "./wire";

/** The newest events before a seq; 0: the newest of all. */
export async function fetchEvents(id: string, before: number, limit: number): Promise<{ head: number; events: LogEvent[] }> {
  const page = await data(
    api.GET("/api/v1/chat/conversations/{id}/events", { params: { path: { id }, query: { limit, ...(before > 0 && { before }) } } }),
  );
  return page as { head: number; events: LogEvent[] };
}

/**
 * A browser does not tell a page why a socket was refused. Any request does: a
 * 401 leads to sign-in by itself.
 */
export function askWhoIsSignedIn(): void {
  api.GET("/api/v1/chat/summary").catch(() => {});
}

/** One conversation with all its members. */
export const conversationQuery = (id: string) =>
  queryOptions({
    queryKey: ["chat", "conversation", id],
    queryFn: () => data(api.GET("/api/v1/chat/conversations/{id}", { params: { path: { id } } })),
  });

/** A person of the directory, for a link that names one to write to. */
export const personQuery = (id: string) =>
  queryOptions({
    queryKey: ["people", "card", id],
    queryFn: async () => (await data(api.GET("/api/v1/directory/people/{id}", { params: { path: { id } } }))) as PersonView,
  });

function useConversationChange<In, Out>(id: string, change: (input: In) => Promise<Out>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    meta: { inline: true },
    // The list hears of it by the event that the change makes.
    onSuccess: () => client.invalidateQueries({ queryKey: conversationQuery(id).queryKey }),
  });
}

export type NewConversation = { kind: "direct"; person: string } | { kind: "channel"; title: string; people: string[] };

/** The new conversation stands in the list at once; the socket's word of it comes a moment later. */
export function useCreateConversation() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: NewConversation) => data(api.POST("/api/v1/chat/conversations", { body })),
    meta: { inline: true },
    onSuccess: (made: Conversation) =>
      client.setQueryData(conversationsQuery.queryKey, (list) => (list ? [made, ...list.filter((c) => c.id !== made.id)] : list)),
  });
}

export const useRename = (id: string) =>
  useConversationChange(id, (title: string) => data(api.PATCH("/api/v1/chat/conversations/{id}", { params: { path: { id } }, body: { title } })));

export const useAddMembers = (id: string) =>
  useConversationChange(id, (people: string[]) =>
    data(api.POST("/api/v1/chat/conversations/{id}/members", { params: { path: { id } }, body: { people } })),
  );

export const useRemoveMember = (id: string) =>
  useConversationChange(id, async (person: string) => {
    await api.DELETE("/api/v1/chat/conversations/{id}/members/{person}", { params: { path: { id, person } } });
  });
