import type { Conversation } from "../../api/conversations";
import type { Head, LogEvent } from "./wire";

/** How far I have read in a conversation. */
export interface Mark {
  seq: number;
  count: number;
}

function withMark(c: Conversation, mark: Mark | undefined): Conversation {
  const readSeq = Math.max(c.read_seq, mark?.seq ?? 0);
  const readCount = Math.max(c.read_count, mark?.count ?? 0);
  const unread = Math.max(0, c.count - readCount);
  return readSeq === c.read_seq && readCount === c.read_count && unread === c.unread
    ? c
    : { ...c, read_seq: readSeq, read_count: readCount, unread };
}

/** The list with what has been read since it was asked for. */
export function overlay(list: Conversation[], marks: ReadonlyMap<string, Mark>): Conversation[] {
  return list.map((c) => withMark(c, marks.get(c.id)));
}

/** Tells whether the list was asked for before something that is known of already. */
export function isBehind(list: Conversation[], heads: ReadonlyMap<string, Pick<Head, "seq">>): boolean {
  const seqs = new Map(list.map((c) => [c.id, c.seq]));
  return [...heads].some(([id, head]) => (seqs.get(id) ?? -1) < head.seq);
}

/** The list after an event; null when the event does not follow and the list must be asked for anew. */
export function withEvent(list: Conversation[], e: LogEvent, marks: ReadonlyMap<string, Mark>): Conversation[] | null {
  const old = list.find((c) => c.id === e.conversation);
  if (!old || e.seq > old.seq + 1) return null;
  if (e.seq <= old.seq) return list;
  const now = withMark({ ...old, seq: e.seq, event_id: e.event_id, count: e.count, last: e, last_at: e.at }, marks.get(old.id));
  return [now, ...list.filter((c) => c.id !== old.id)];
}

export function unreadIn(list: Conversation[] | undefined): number {
  return list?.reduce((sum, c) => sum + c.unread, 0) ?? 0;
}
