import { firstUnread } from "./timeline";
import type { LogEvent } from "./wire";

/**
 * Where the line between read and unread stands while a page shows a
 * conversation. It stays as one reads on: it says where reading began.
 */
export interface Divider {
  /** What came after this seq was unread. */
  readonly mark: number;
  /** There was something, though it may not be loaded yet. */
  readonly unread: boolean;
  /** The end when somebody last was there; null until they have been there since the line was drawn. */
  readonly seen: number | null;
}

/** What the page knows just now. */
export interface Now {
  events: readonly LogEvent[];
  /** The conversation's newest seq, loaded or not. */
  head: number;
  readSeq: number;
  unread: number;
  /** The end is before somebody's eyes. */
  here: boolean;
  /** They have something on its way. */
  sending: boolean;
  me: string;
}

export function openedAt({ events, readSeq, unread }: Pick<Now, "events" | "readSeq" | "unread">): Divider {
  return { mark: readSeq, unread: unread > 0, seen: unread > 0 ? null : Math.max(readSeq, events.at(-1)?.seq ?? 0) };
}

/** The seq of the message below the line; null where there is no line, or its place is not loaded. */
export function placeOf(d: Divider, { events, me }: Pick<Now, "events" | "me">): number | null {
  return d.unread && (events[0]?.seq ?? 1) <= d.mark + 1 ? firstUnread(events, d.mark, me) : null;
}

/** The line after what has happened; the same value when it stays as it is. */
export function moved(d: Divider, now: Now): Divider {
  const { events, head, readSeq, unread, here, sending, me } = now;
  const place = placeOf(d, now);
  const last = events.at(-1);
  // Who writes has read.
  if (place !== null && place <= readSeq && (sending || last?.sender === me)) return { mark: readSeq, unread: false, seen: last?.seq ?? readSeq };
  if (here) {
    if (!last || last.seq === d.seen || (d.unread && place === null && last.seq < head)) return d;
    return { ...d, unread: place !== null || (events[0]?.seq ?? 1) > d.mark + 1 ? d.unread : false, seen: last.seq };
  }
  // What comes while nobody looks begins a new stretch of unread messages.
  if (d.seen === null || unread === 0 || firstUnread(events, d.seen, me) === null) return d;
  return { mark: d.seen, unread: true, seen: null };
}
