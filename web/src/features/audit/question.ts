import type { operations } from "../../api/schema";
import { dayOf } from "../../lib/dates";

/** What is asked of the log, as the address bar spells it. Days are whole ones in Viet Nam, both in. */
export interface Question {
  from?: string;
  until?: string;
  action?: string;
  outcome?: string;
  person?: string;
  kind?: string;
  object?: string;
  agency?: string;
  address?: string;
}

const names = ["from", "until", "action", "outcome", "person", "kind", "object", "agency", "address"] as const;

/** The question of an address; what makes no sense in it is left out. */
export function questionOf(search: Record<string, unknown>): Question {
  const out: Question = {};
  for (const name of names) {
    const value = search[name];
    if (typeof value === "string" && value) out[name] = value;
  }
  for (const name of ["from", "until"] as const) {
    if (out[name] && !/^\d{4}-\d{2}-\d{2}$/.test(out[name])) delete out[name];
  }
  if (out.outcome && !["ok", "denied", "failed"].includes(out.outcome)) delete out.outcome;
  if (!out.kind || !out.object) {
    delete out.kind;
    delete out.object;
  }
  return out;
}

export function isAsked(question: Question): boolean {
  return Object.keys(question).length > 0;
}

type Query = NonNullable<operations["list-audit-events"]["parameters"]["query"]>;

/** The question as the server takes it. */
export function query(q: Question): Query {
  const day = 24 * 3600 * 1000;
  return {
    ...(q.from ? { from: `${q.from}T00:00:00+07:00` } : {}),
    ...(q.until ? { until: `${dayOf(new Date(`${q.until}T00:00:00+07:00`).getTime() + day)}T00:00:00+07:00` } : {}),
    ...(q.action ? { action: q.action } : {}),
    ...(q.outcome ? { outcome: q.outcome as "ok" | "denied" | "failed" } : {}),
    ...(q.person ? { person: q.person } : {}),
    ...(q.kind && q.object ? { object_kind: q.kind, object_id: q.object } : {}),
    ...(q.agency ? { agency: q.agency } : {}),
    ...(q.address ? { address: q.address } : {}),
  };
}
