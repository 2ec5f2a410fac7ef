import type { TFunction } from "i18next";
import { otherOf, type Conversation } from "../../../api/conversations";
import { nameParts, shortAgency } from "../../../lib/names";
import type { LogEvent } from "../wire";
import { textOf } from "../timeline";

/** What a conversation is called: the other person, or the channel's title. */
export function titleOf(c: Conversation, me: string): string {
  return otherOf(c, me)?.name ?? c.title;
}

export function agencyOf(m: { agency_name: string } | undefined): string {
  return m ? shortAgency(m.agency_name) : "";
}

/** How one speaks of a person in a line: the tên. */
export const given = (name: string): string => nameParts(name).given;

interface Named {
  id: string;
  name: string;
}

function peopleOf(e: LogEvent): Named[] {
  const people = (e.body as { people?: unknown } | null)?.people;
  return Array.isArray(people) ? (people as Named[]) : [];
}

/** What happened beside messages, in words; "" is not shown. t is of the namespace chat. */
export function happening(e: LogEvent, me: string, t: TFunction): string {
  const by = e.sender === me ? t("you") : e.sender_name;
  const others = peopleOf(e).filter((p) => p.id !== e.sender);
  const mentioned = others.filter((p) => p.id !== me).map((p) => p.name);
  if (mentioned.length < others.length) mentioned.unshift(t("you_inside"));
  const names = new Intl.ListFormat(t("list_format")).format(mentioned);
  switch (e.kind) {
    case "member.joined":
      if (e.seq === 1) return names ? t("event.made_with", { by, names }) : t("event.made", { by });
      return names ? t("event.added", { by, names }) : "";
    case "member.left":
      return names ? t("event.removed", { by, names }) : t("event.left", { by });
    case "conversation.renamed":
      return t("event.renamed", { by, title: String((e.body as { title?: unknown } | null)?.title ?? "") });
    default:
      return "";
  }
}

/** The newest event as a line in the list. */
export function preview(c: Conversation, me: string, t: TFunction): string {
  const last = c.last as LogEvent | undefined;
  if (!last) return t("list.no_message");
  if (last.kind !== "message") return happening(last, me, t);
  const text = textOf(last).replace(/\s+/g, " ");
  if (last.sender === me) return t("list.by_me", { text });
  return c.kind === "channel" ? t("list.by", { name: given(last.sender_name), text }) : text;
}
