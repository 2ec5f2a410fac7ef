import { infiniteQueryOptions, queryOptions, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { api, data } from "../../api/client";
import { codeOf } from "../../api/error";
import type { components } from "../../api/schema";
import type { Letter } from "./letter";
import { fallback, summaryQuery } from "./summary";

export type Mailbox = components["schemas"]["MailboxView"];
export type Row = components["schemas"]["MessageSummary"];
export type Attachment = components["schemas"]["AttachmentView"];
export type Held = components["schemas"]["HeldView"];
export type Draft = components["schemas"]["DraftView"];
export type { Message } from "./letter";
export type { FileView } from "./upload";
export { refreshMail, summaryQuery } from "./summary";

export const mailboxesQuery = queryOptions({
  queryKey: ["mail", "mailboxes"],
  queryFn: async (): Promise<Mailbox[]> => (await data(api.GET("/api/v1/mail/mailboxes"))).mailboxes ?? [],
  refetchInterval: fallback,
});

interface Page {
  messages: Row[];
  next: string;
}

const pageSize = 50;

/** A mailbox's messages, newest first, or those that match words. */
export const messagesQuery = (mailbox: string, q: string) =>
  infiniteQueryOptions({
    queryKey: ["mail", "messages", mailbox, q],
    queryFn: async ({ pageParam, signal }): Promise<Page> => {
      const query = { limit: pageSize, ...(pageParam ? { cursor: pageParam } : {}), ...(q ? { q } : {}) };
      const page = await data(api.GET("/api/v1/mail/mailboxes/{mailbox}/messages", { params: { path: { mailbox }, query }, signal }));
      return { messages: page.messages ?? [], next: page.next };
    },
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    enabled: mailbox !== "",
    refetchInterval: fallback,
    staleTime: 10_000,
  });

export const messageQuery = (id: string) =>
  queryOptions({
    queryKey: ["mail", "message", id],
    queryFn: ({ signal }) => data(api.GET("/api/v1/mail/messages/{id}", { params: { path: { id } }, signal })),
    staleTime: 60_000,
  });

export const heldQuery = queryOptions({
  queryKey: ["mail", "held"],
  queryFn: async (): Promise<Held[]> => (await data(api.GET("/api/v1/mail/held"))).messages ?? [],
  staleTime: 10_000,
});

/** Null when there is no such draft (any more). */
export async function fetchDraft(id: string): Promise<Draft | null> {
  try {
    return await data(api.GET("/api/v1/mail/drafts/{id}", { params: { path: { id } } }));
  } catch (err) {
    if (codeOf(err) === "not_found") return null;
    throw err;
  }
}

type Sendable = Letter & { uploads: string[] };

export async function saveDraft(id: string, letter: Sendable): Promise<void> {
  await api.PUT("/api/v1/mail/drafts/{id}", { params: { path: { id } }, body: letter });
}

export async function sendLetter(draft: string, letter: Sendable): Promise<void> {
  await api.POST("/api/v1/mail/send", { body: { ...letter, draft } });
}

export async function removeUpload(id: string): Promise<void> {
  await api.DELETE("/api/v1/mail/uploads/{id}", { params: { path: { id } } });
}

/** Makes a file for a draft out of a part of a message. */
export function copyPart(message: string, part: string) {
  return data(api.POST("/api/v1/mail/messages/{id}/parts/{part}/copy", { params: { path: { id: message, part } } }));
}

type Change = Omit<components["schemas"]["ChangeInBody"], "ids">;

export async function changeMessages(ids: string[], change: Change): Promise<void> {
  await api.POST("/api/v1/mail/messages/changes", { body: { ...change, ids } });
}

/** What stands in the caches, changed at once; the answer of the server comes after. */
export function changeRows(client: QueryClient, ids: string[], change: (row: Row) => Row | null): void {
  client.setQueriesData<InfiniteData<Page>>({ queryKey: ["mail", "messages"] }, (old) =>
    old && {
      ...old,
      pages: old.pages.map((page) => ({ ...page, messages: page.messages.flatMap((m) => (ids.includes(m.id) ? (change(m) ?? []) : m)) })),
    },
  );
  for (const id of ids) {
    client.setQueryData(messageQuery(id).queryKey, (old) => {
      const next = old && change(old);
      return next ? { ...old, ...next } : old;
    });
  }
}

/** Counts unread messages up or down at once. */
export function countUnread(client: QueryClient, mailbox: string, by: number): void {
  const boxes = client.getQueryData(mailboxesQuery.queryKey);
  client.setQueryData(mailboxesQuery.queryKey, (old) => old?.map((b) => (b.id === mailbox ? { ...b, unread: Math.max(0, b.unread + by) } : b)));
  if (boxes?.find((b) => b.id === mailbox)?.role === "inbox") {
    client.setQueryData(summaryQuery.queryKey, (old) => old && { ...old, unread: Math.max(0, old.unread + by) });
  }
}
