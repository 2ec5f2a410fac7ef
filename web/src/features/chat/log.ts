import type { LogEvent } from "./wire";

/**
 * The stretch of a conversation's log that is here, without gaps, oldest first.
 * Values: a change makes a new one.
 */
export interface Stretch {
  readonly events: readonly LogEvent[];
}

export const emptyStretch: Stretch = { events: [] };

export const lastSeq = (s: Stretch): number => s.events.at(-1)?.seq ?? 0;
export const firstSeq = (s: Stretch): number => s.events[0]?.seq ?? 0;

/** Nothing older exists. */
export const fromStart = (s: Stretch): boolean => firstSeq(s) <= 1;

/** The event of a seq, when it is here. */
export function eventAt(s: Stretch, seq: number): LogEvent | undefined {
  return s.events[seq - firstSeq(s)];
}

/**
 * What became of events that came: "gap" means that some before them are
 * missing, "foreign" that the server's history is another one than ours (a
 * restored database).
 */
export type Taken = { what: "taken" | "known"; stretch: Stretch } | { what: "gap" | "foreign" };

export function append(s: Stretch, events: readonly LogEvent[]): Taken {
  const last = lastSeq(s);
  const fresh: LogEvent[] = [];
  for (const e of events) {
    const next = fresh.at(-1)?.seq ?? last;
    if (e.seq <= next) {
      const here = e.seq > last ? fresh.find((f) => f.seq === e.seq) : eventAt(s, e.seq);
      if (here && here.event_id !== e.event_id) return { what: "foreign" };
    } else if (e.seq === next + 1) {
      fresh.push(e);
    } else {
      return { what: "gap" };
    }
  }
  return fresh.length === 0 ? { what: "known", stretch: s } : { what: "taken", stretch: { events: [...s.events, ...fresh] } };
}

/** Puts a page of history before what is here; a page that does not join is dropped. */
export function prepend(s: Stretch, page: readonly LogEvent[]): Stretch {
  const first = firstSeq(s);
  const older = page.filter((e) => first === 0 || e.seq < first);
  if (older.length === 0 || (first !== 0 && older.at(-1)?.seq !== first - 1)) return s;
  return { events: [...older, ...s.events] };
}

/** Lets go of all but the newest, for conversations that nobody looks at. */
export function newest(s: Stretch, count: number): Stretch {
  return s.events.length <= count ? s : { events: s.events.slice(-count) };
}
