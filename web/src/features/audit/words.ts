import type { TFunction } from "i18next";
import { formatDateTime } from "../../lib/dates";
import type { AuditAgency, AuditEvent, AuditPerson } from "./api";

/** Who and what the ids of events are called. */
export interface Names {
  person: (id: string) => AuditPerson | undefined;
  agency: (id: string) => string;
}

export function namesOf(lists: { people: AuditPerson[]; agencies: AuditAgency[] }[]): Names {
  const people = new Map(lists.flatMap((l) => l.people).map((p) => [p.id, p]));
  const agencies = new Map(lists.flatMap((l) => l.agencies).map((a) => [a.id, a.name]));
  return { person: (id) => people.get(id), agency: (id) => agencies.get(id) ?? "" };
}

/** 25/11/2026 08:30:05 */
export function formatSecond(at: string): string {
  return `${formatDateTime(at)}:${at.slice(17, 19)}`;
}

/** The action in words; one of a newer server stays as it is. */
export function actionWords(t: TFunction, action: string): string {
  // i18n: action.*
  return t(`action.${action}`, { defaultValue: action });
}

export function kindWords(t: TFunction, kind: string): string {
  return t(`kind.${kind}`, { defaultValue: kind });
}

/** Who did it, as far as it is known. */
export function whoWords(t: TFunction, event: AuditEvent, names: Names): string {
  if (event.person_id) return names.person(event.person_id)?.name ?? event.person_id;
  const login = event.detail?.["login"];
  if (login) return login;
  return event.address ? t("list.nobody") : t("list.system");
}

/** What the object is called: a person's or agency's name, the title that the event has; nothing where an id is all there is. */
export function objectName(event: AuditEvent, names: Names): string {
  if (event.object_kind === "person") return names.person(event.object_id)?.name ?? "";
  if (event.object_kind === "agency" || event.object_kind === "audit_log") return names.agency(event.object_id);
  return event.detail?.["title"] ?? event.detail?.["name"] ?? "";
}

/** The object's kind and name, else its id. */
export function objectWords(t: TFunction, event: AuditEvent, names: Names): string {
  if (!event.object_kind) return "";
  return [kindWords(t, event.object_kind), objectName(event, names) || event.object_id].filter(Boolean).join(" ");
}

/** A word of a detail: its key, and its value where that is a word of the program. */
export function detailWords(t: TFunction, key: string, value: string, names: Names): { key: string; value: string } {
  // i18n: detail.*, reason.*, scope.*
  const words: Record<string, string> = {
    person: names.person(value)?.name ?? value,
    agency: names.agency(value) || value,
    reason: t(`reason.${value}`, { defaultValue: value }),
    scope: t(`scope.${value}`, { defaultValue: value }),
    outcome: t(`outcome.${value}`, { defaultValue: value }),
    action: actionWords(t, value),
  };
  return { key: t(`detail.${key}`, { defaultValue: key }), value: words[key] ?? value };
}

/** All actions that have words, for the filter. */
export function actionsOf(texts: unknown): string[] {
  if (!texts || typeof texts !== "object") return [];
  return Object.entries(texts as Record<string, Record<string, string>>).flatMap(([domain, verbs]) => Object.keys(verbs).map((verb) => `${domain}.${verb}`));
}
