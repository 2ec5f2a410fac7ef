import { expect, it } from "vitest";
import { moved, openedAt, placeOf, type Now } from "./divider";
import type { LogEvent } from "./wire";

const message = (seq: number, sender: string): LogEvent => ({
  type: "event", conversation: "c", seq, event_id: `e${seq}`, count: seq, kind: "message", at: "2026-11-25T02:00:00Z", sender, sender_name: "", client_id: `m${seq}`,
  body: { text: "" },
});
/** A conversation as it is when these have written, read up to a seq. */
function at(senders: string, readSeq: number, more: Partial<Now> = {}): Now {
  const events = [...senders].map((s, i) => message(i + 1, s));
  return { events, head: events.length, readSeq, unread: events.length - readSeq, here: false, sending: false, me: "m", ...more };
}

it("stands before the first unread message, however far one has read", () => {
  const opened = at("mmaaa", 2);
  let line = openedAt(opened);
  expect(placeOf(line, opened)).toBe(3);
  for (const now of [at("mmaaa", 3), at("mmaaa", 4), at("mmaaa", 5, { here: true }), at("mmaaaa", 6, { here: true }), at("mmaaaa", 6)]) {
    line = moved(line, now);
    expect(placeOf(line, now)).toBe(3);
  }
});

it("is not there where all was read, nor for what comes before one's eyes", () => {
  let line = openedAt(at("mma", 3));
  for (const now of [at("mma", 3), at("mma", 3, { here: true }), at("mmaa", 4, { here: true }), at("mmaa", 4)]) {
    line = moved(line, now);
    expect(placeOf(line, now)).toBeNull();
  }
});

it("moves to what came while nobody looked, once the end was seen", () => {
  let line = openedAt(at("maa", 1));
  const turns: [Now, number][] = [
    [at("maaa", 1), 2], // more of the same, before it was looked at
    [at("maaa", 4, { here: true }), 2],
    [at("maaaa", 4), 5],
    [at("maaaaa", 5), 5],
    [at("maaaaa", 6, { here: true }), 5],
  ];
  for (const [now, place] of turns) {
    line = moved(line, now);
    expect(placeOf(line, now)).toBe(place);
  }
});

it("waits for unread messages that are not loaded yet", () => {
  const opened = at("mma", 3, { head: 5, unread: 2, here: true });
  let line = openedAt(opened);
  expect(placeOf(line, opened)).toBeNull();
  line = moved(line, opened);
  const now = at("mmaaa", 3, { here: true });
  expect(placeOf(moved(line, now), now)).toBe(4);
  // Older ones than those loaded have their place when it is fetched.
  const newest = at("mmaaaa", 2, { here: true });
  line = openedAt(newest);
  const cut = { ...newest, events: newest.events.slice(-2) };
  expect(placeOf(moved(line, cut), cut)).toBeNull();
  expect(placeOf(moved(line, cut), newest)).toBe(3);
});

it("goes when one writes", () => {
  const line = openedAt(at("maa", 1));
  const sending = at("maa", 3, { sending: true });
  expect(placeOf(moved(line, sending), sending)).toBeNull();
  const sent = at("maam", 4);
  expect(placeOf(moved(line, sent), sent)).toBeNull();
});
