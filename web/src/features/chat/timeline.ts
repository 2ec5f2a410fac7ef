import type { LogEvent } from "./wire";
import type { Outgoing } from "./outbox";

/**
 * One line of a conversation. There is one for each event, whatever its kind,
 * so that a line's place in the list is its event's seq; dividers hang on the
 * line below them.
 */
export interface Line {
  /** Stays with a message from the moment it is sent. */
  key: string;
  event?: LogEvent;
  outgoing?: Outgoing;
  at: number;
  /** Begins another day: show it. */
  newDay: boolean;
  /** The first one unread. */
  unread: boolean;
  /** Continues what the same person said a moment before: no name. */
  joined: boolean;
}

const together = 5 * 60_000;
/** The calendar day in Viet Nam, which has no summer time: far quicker than Intl, once for each line. */
const dayNumber = (at: number) => Math.floor((at + 7 * 3_600_000) / 86_400_000);

export function timeline(events: readonly LogEvent[], outgoing: readonly Outgoing[], me: string, unreadFrom: number | null): Line[] {
  const lines: Line[] = [];
  let day = NaN;
  let speaker = "";
  let spokeAt = 0;
  const add = (line: Pick<Line, "key" | "event" | "outgoing" | "at">, who: string) => {
    const today = dayNumber(line.at);
    const newDay = today !== day;
    const unread = unreadFrom !== null && line.event?.seq === unreadFrom;
    const joined = who !== "" && who === speaker && !newDay && !unread && line.at - spokeAt < together;
    lines.push({ ...line, newDay, unread, joined });
    day = today;
    speaker = who;
    spokeAt = line.at;
  };
  for (const e of events) {
    add({ key: e.client_id || e.event_id, event: e, at: new Date(e.at).getTime() }, e.kind === "message" ? e.sender : "");
  }
  for (const o of outgoing) add({ key: o.clientId, outgoing: o, at: o.at }, me);
  return lines;
}

/** The first message of others after a seq. */
export function firstUnread(events: readonly LogEvent[], readSeq: number, me: string): number | null {
  return events.find((e) => e.seq > readSeq && e.kind === "message" && e.sender !== me)?.seq ?? null;
}

export function textOf(e: LogEvent): string {
  const text = typeof e.body === "object" && e.body !== null ? (e.body as { text?: unknown }).text : undefined;
  return typeof text === "string" ? text : "";
}
