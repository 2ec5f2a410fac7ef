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

/** The object's name where it is a person or an agency, else its kind and the beginning of its id. */
export function objectWords(t: TFunction, event: AuditEvent, names: Names): string {
  if (!event.object_kind) return "";
  const name =
    event.object_kind === "person" ? names.person(event.object_id)?.name : event.object_kind === "agency" ? names.agency(event.object_id) : undefined;
  return [kindWords(t, event.object_kind), name || event.object_id].filter(Boolean).join(" ");
}

/** All actions that have words, for the filter. */
export function actionsOf(texts: unknown): string[] {
  if (!texts || typeof texts !== "object") return [];
  return Object.entries(texts as Record<string, Record<string, string>>).flatMap(([domain, verbs]) => Object.keys(verbs).map((verb) => `${domain}.${verb}`));
}
