import type { TFunction } from "i18next";
import { formatDateTime } from "../../lib/dates";
import { readDraft } from "../../lib/draft";
import type { QueryClient } from "@tanstack/react-query";
import { fetchDraft, messageQuery, type Message } from "./api";
import { emptyLetter, forwardLetter, nameOf, replyLetter, writeAddress, type Letter } from "./letter";
import type { FileView } from "./upload";

/** What of a letter is kept in this tab and at the server. */
export interface Written {
  letter: Letter;
  files: FileView[];
}

/** Where a letter begins. */
export interface Start extends Written {
  /** This tab has more than the server. */
  unsaved: boolean;
  /** The server has it already. */
  kept: boolean;
  /** Parts of a message to go along: a forwarded one's, or those of a mail client's draft. */
  copies: { message: string; part: string; name: string; size: number }[];
  /** The message it is about. */
  about?: Message;
}

/** The address bar's wishes for a new letter. */
export interface About {
  to?: string;
  reply?: string;
  all?: string;
  forward?: string;
  new?: string;
}

export const draftKey = (id: string) => `mail.${id}`;

/** Finds or makes the letter of an id; null when there is none any more. */
export async function startLetter(client: QueryClient, id: string, about: About, own: string[], t: TFunction<"mail">): Promise<Start | null> {
  const source = about.reply ?? about.all ?? about.forward;
  const m = source ? await client.fetchQuery(messageQuery(source)) : undefined;
  const plain = { files: [], copies: [], unsaved: false, kept: false, about: m };
  const here = readDraft<Written>(draftKey(id));
  if (here) return { ...plain, ...here, unsaved: true };
  if (m && about.forward) {
    const files = (m.attachment_parts ?? []).map((a) => ({ message: m.id, part: a.part, name: a.name, size: a.size }));
    return { ...plain, letter: forwardLetter(m, words(m, t)), copies: files };
  }
  if (m) return { ...plain, letter: replyLetter(m, own, about.all !== undefined, words(m, t)) };
  if (about.to ?? about.new) return { ...plain, letter: { ...emptyLetter, to: about.to ? [about.to] : [] } };

  const draft = await fetchDraft(id);
  if (!draft) return null;
  const letter: Letter = {
    to: draft.to ?? [], cc: draft.cc ?? [], bcc: draft.bcc ?? [], subject: draft.subject, text: draft.text,
    in_reply_to: draft.in_reply_to, references: draft.references ?? undefined, answers: draft.answers,
  };
  const copies = draft.foreign
    ? ((await client.fetchQuery(messageQuery(id))).attachment_parts ?? []).map((a) => ({ message: id, part: a.part, name: a.name, size: a.size }))
    : [];
  return { ...plain, letter, files: draft.files ?? [], copies, kept: true };
}

function words(m: Message, t: TFunction<"mail">) {
  const from = m.from?.[0] ?? { name: "", address: "" };
  const when = formatDateTime(m.sent_at ?? m.received_at);
  const list = (l: Message["to"]) => (l ?? []).map(writeAddress).join(", ");
  return {
    wrote: t("quote.wrote", { when, who: nameOf(from) || t("noSender") }),
    forwarded: [
      t("quote.forwarded"),
      t("quote.from", { names: list(m.from) || t("noSender") }),
      t("quote.when", { when }),
      t("quote.subject", { subject: m.subject }),
      t("quote.to", { names: list(m.to) }),
      ...(m.cc?.length ? [t("quote.cc", { names: list(m.cc) })] : []),
    ].join("\n"),
  };
}
