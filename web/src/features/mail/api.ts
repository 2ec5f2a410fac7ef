import { queryOptions } from "@tanstack/react-query";
import { api, data } from "../../api/client";

export const summaryQuery = queryOptions({
  queryKey: ["mail", "summary"],
  queryFn: () => data(api.GET("/api/v1/mail/summary")),
  refetchInterval: 30_000,
});

export const mailboxesQuery = queryOptions({
  queryKey: ["mail", "mailboxes"],
  queryFn: async () => (await data(api.GET("/api/v1/mail/mailboxes"))).mailboxes ?? [],
  refetchInterval: 30_000,
});

export const messagesQuery = (mailbox: string) =>
  queryOptions({
    queryKey: ["mail", "messages", mailbox],
    queryFn: async () => (await data(api.GET("/api/v1/mail/mailboxes/{mailbox}/messages", { params: { path: { mailbox } } }))).messages ?? [],
    enabled: mailbox !== "",
    refetchInterval: 30_000,
  });

export const messageQuery = (id: string) =>
  queryOptions({
    queryKey: ["mail", "message", id],
    queryFn: () => data(api.GET("/api/v1/mail/messages/{id}", { params: { path: { id } } })),
  });

export const heldQuery = queryOptions({
  queryKey: ["mail", "held"],
  queryFn: async () => (await data(api.GET("/api/v1/mail/held"))).messages ?? [],
});

export async function markSeen(id: string): Promise<void> {
  await api.POST("/api/v1/mail/messages/changes", { body: { ids: [id], seen: true } });
}

export async function moveToTrash(id: string): Promise<void> {
  await api.POST("/api/v1/mail/messages/changes", { body: { ids: [id], delete: true } });
}

export interface Letter {
  to: string[];
  subject: string;
  text: string;
}

export async function sendLetter(letter: Letter): Promise<void> {
  await api.POST("/api/v1/mail/send", { body: letter });
}
