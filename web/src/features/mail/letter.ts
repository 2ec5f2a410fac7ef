import type { components } from "../../api/schema";

/**
 * The rules of writing: what an address is, who gets an answer, what it is
 * called and what it quotes. No React, no requests.
 */

export type Address = components["schemas"]["MailAddress"];
export type Message = components["schemas"]["MessageView"];

/** What somebody writes; recipients are "Name <address>" or bare addresses, right or not yet. */
export interface Letter {
  to: string[];
  cc: string[];
  bcc: string[];
  subject: string;
  text: string;
  in_reply_to?: string;
  references?: string[];
  /** Id of the message here that this answers. */
  answers?: string;
}

export const emptyLetter: Letter = { to: [], cc: [], bcc: [], subject: "", text: "" };

/** Tells whether nothing has been written yet. */
export function isEmpty(l: Letter): boolean {
  return l.to.length + l.cc.length + l.bcc.length === 0 && l.subject.trim() === "" && l.text.trim() === "";
}

/** Parts "Name <address>"; a bare address has no name. */
export function readAddress(entry: string): Address {
  const text = entry.trim();
  const at = text.lastIndexOf("<");
  if (at < 0 || !text.endsWith(">")) return { name: "", address: text };
  return { name: text.slice(0, at).trim().replace(/^"(.*)"$/, "$1").trim(), address: text.slice(at + 1, -1).trim() };
}

/** The opposite of readAddress. */
export function writeAddress({ name, address }: Address): string {
  const clean = name.replace(/[<>"\r\n]/g, " ").replace(/\s+/g, " ").trim();
  return clean && clean !== address ? `${clean} <${address}>` : address;
}

/** What a recipient is called in a list. */
export function nameOf({ name, address }: Address): string {
  return name || address;
}

const local = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const label = /^[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?$/u;

/** Tells whether an address has the form of one; whether somebody has it only a server knows. */
export function isAddress(address: string): boolean {
  const at = address.lastIndexOf("@");
  const domain = address.slice(at + 1);
  if (at < 1 || at > 64 || address.length > 254 || !local.test(address.slice(0, at))) return false;
  const labels = domain.split(".");
  return labels.length > 1 && labels.every((l) => l.length <= 63 && label.test(l));
}

/**
 * Entries out of what was typed or pasted: parted by commas, semicolons and
 * line ends outside of quotes and angle brackets; bare addresses by spaces, too.
 */
export function splitEntries(text: string): string[] {
  const entries: string[] = [];
  let entry = "";
  let quoted = false;
  let angled = false;
  for (const c of text.replace(/[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, "")) {
    if (c === '"' && !angled) quoted = !quoted;
    if (c === "<" && !quoted) angled = true;
    if (c === ">") angled = false;
    if (c === "\n" || c === "\r" || ((c === "," || c === ";") && !quoted && !angled)) {
      entries.push(entry);
      entry = "";
      quoted = angled = false;
    } else {
      entry += c === "\t" ? " " : c;
    }
  }
  entries.push(entry);
  return entries.flatMap((e) => {
    const words = e.trim().split(/\s+/);
    return words.length > 1 && words.every((w) => isAddress(w)) ? words : [e.trim()];
  }).filter(Boolean);
}

/** Adds entries to a list, each address once. */
export function addEntries(list: string[], more: string[]): string[] {
  const out = [...list];
  for (const entry of more) {
    const key = readAddress(entry).address.toLowerCase();
    if (!out.some((e) => readAddress(e).address.toLowerCase() === key)) out.push(writeAddress(readAddress(entry)));
  }
  return out;
}

/** The entries whose addresses have not the form of one. */
export function wrongEntries(list: string[]): string[] {
  return list.filter((e) => !isAddress(readAddress(e).address));
}

const replied = /^(?:re|trả lời|tl|aw|sv)\s*(?:\[\d+\])?\s*:\s*/iu;
const forwarded = /^(?:fwd?|chuyển tiếp|ct|wg)\s*(?:\[\d+\])?\s*:\s*/iu;

/** "Re: Họp giao ban", once however long the exchange is. */
export function replySubject(subject: string): string {
  return `Re: ${bare(subject, replied)}`.trim();
}

/** "Fwd: Họp giao ban", once. */
export function forwardSubject(subject: string): string {
  return `Fwd: ${bare(subject, forwarded)}`.trim();
}

function bare(subject: string, prefix: RegExp): string {
  let rest = subject.trim();
  while (prefix.test(rest)) rest = rest.replace(prefix, "");
  return rest;
}

/** Who gets an answer. own are the addresses of who answers. */
export function replyRecipients(m: Message, own: string[], all: boolean): { to: string[]; cc: string[] } {
  const mine = new Set(own.map((a) => a.toLowerCase()));
  const isMine = (a: Address) => mine.has(a.address.toLowerCase());
  const usable = (list: Address[] | null) => (list ?? []).filter((a) => a.address !== "");
  const from = usable(m.from);
  // Going on with what one sent oneself: to those who got it.
  const fromMe = from.length > 0 && from.every(isMine);
  const back = fromMe ? usable(m.to) : usable(m.reply_to).length > 0 ? usable(m.reply_to) : from;
  const taken = new Set<string>();
  const pick = (list: Address[], keepMine = false) =>
    list
      .filter((a) => keepMine || !isMine(a))
      .filter((a) => !taken.has(a.address.toLowerCase()) && taken.add(a.address.toLowerCase()))
      .map(writeAddress);
  let to = pick(back);
  if (to.length === 0) to = pick(back, true); // a letter to oneself
  if (!all) return { to, cc: [] };
  return { to: [...to, ...(fromMe ? [] : pick(usable(m.to)))], cc: pick(usable(m.cc)) };
}

/** Long enough for any exchange; what is older is in the message itself. */
const quotedChars = 100_000;

/** Each line behind "> ", as mail clients have it. */
export function quote(text: string): string {
  const whole = text.replace(/\r\n?/g, "\n").trimEnd();
  const cut = whole.length > quotedChars ? `${whole.slice(0, quotedChars)}\n[…]` : whole;
  return cut.split("\n").map((line) => (line.startsWith(">") ? `>${line}` : line ? `> ${line}` : ">")).join("\n");
}

/** Words around what is quoted, in the writer's language. */
export interface QuoteWords {
  /** "Ngày 24/11/2026 07:05, Nguyễn Văn An viết:" */
  wrote: string;
  /** The lines above a forwarded text. */
  forwarded: string;
}

export function replyLetter(m: Message, own: string[], all: boolean, words: QuoteWords): Letter {
  const { to, cc } = replyRecipients(m, own, all);
  return {
    ...emptyLetter,
    to,
    cc,
    subject: replySubject(m.subject),
    text: `\n\n${words.wrote}\n${quote(m.text)}\n`,
    ...(m.message_id ? { in_reply_to: m.message_id, references: (m.references ?? []).slice(-30) } : {}),
    answers: m.id,
  };
}

export function forwardLetter(m: Message, words: QuoteWords): Letter {
  const whole = m.text.replace(/\r\n?/g, "\n").trimEnd();
  return { ...emptyLetter, subject: forwardSubject(m.subject), text: `\n\n${words.forwarded}\n\n${whole.slice(0, 4 * quotedChars)}\n` };
}

const mentions = /đính kèm|gửi kèm|tệp kèm|kèm theo (?:thư|tệp|file)|attach/iu;

/** What one may have forgotten; asked before sending. */
export function doubts(l: Letter, files: number): ("noSubject" | "noFile")[] {
  const own = l.text.split("\n").filter((line) => !line.startsWith(">")).join("\n");
  return [
    ...(l.subject.trim() === "" ? (["noSubject"] as const) : []),
    ...(files === 0 && mentions.test(own.normalize("NFC")) ? (["noFile"] as const) : []),
  ];
}

/** An id nobody else has; crypto.randomUUID is missing on plain http. */
export function newId(): string {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = ((b[6] ?? 0) & 0x0f) | 0x40;
  b[8] = ((b[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
