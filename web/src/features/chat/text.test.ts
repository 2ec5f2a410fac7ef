import { describe, expect, it } from "vitest";
import { append, emptyStretch, newest, prepend } from "./log";
import { isBehind, overlay, withEvent } from "./list";
import { meansSend, pieces } from "./text";
import { firstUnread, timeline } from "./timeline";
import type { Conversation } from "../../api/conversations";
import type { LogEvent } from "./wire";

const key = { key: "Enter", shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, keyCode: 13, isComposing: false };
const event = (seq: number, more: Partial<LogEvent> = {}): LogEvent => ({
  type: "event", conversation: "c", seq, event_id: `e${seq}`, kind: "message", sender: "chi", sender_name: "Chi", client_id: `k${seq}`,
  body: { text: String(seq) }, count: seq, at: new Date(Date.UTC(2026, 10, 25, 1, seq)).toISOString(), ...more,
});

describe("Enter", () => {
  it.each([
    ["sends", {}, true],
    ["does not while a word is composed", { isComposing: true }, false],
    ["does not when the input method took it (229)", { keyCode: 229 }, false],
    ["makes a new line with Shift", { shiftKey: true }, false],
    ["sends with Ctrl, too", { ctrlKey: true }, true],
    ["is not another key", { key: "a", keyCode: 65 }, false],
  ])("%s", (_, change, sends) => expect(meansSend({ ...key, ...change })).toBe(sends));
});

describe("links in a message", () => {
  it.each([
    ["Xem https://vanban.example/a?b=1.", [{ text: "Xem " }, { link: "https://vanban.example/a?b=1" }, { text: "." }]],
    ["(https://a.example/x)", [{ text: "(" }, { link: "https://a.example/x" }, { text: ")" }]],
    ["https://a.example/x_(y)", [{ link: "https://a.example/x_(y)" }]],
    ["javascript:alert(1)", [{ text: "javascript:alert(1)" }]],
    ["không có", [{ text: "không có" }]],
  ])("%s", (text, found) => expect(pieces(text)).toEqual(found));
});

describe("a stretch of the log", () => {
  const three = append(emptyStretch, [event(1), event(2), event(3)]);
  const stretch = three.what === "taken" ? three.stretch : emptyStretch;

  it("takes what follows, drops what it has, and notices gaps and other histories", () => {
    expect(append(stretch, [event(3), event(4)])).toMatchObject({ what: "taken" });
    expect(append(stretch, [event(2)])).toEqual({ what: "known", stretch });
    expect(append(stretch, [event(5)])).toEqual({ what: "gap" });
    expect(append(emptyStretch, [event(2)])).toEqual({ what: "gap" });
    expect(append(stretch, [event(2, { event_id: "other" })])).toEqual({ what: "foreign" });
  });

  it("takes a page of history only where it joins", () => {
    const late = { events: [event(5), event(6)] };
    expect(prepend(late, [event(3), event(4), event(5)]).events.map((e) => e.seq)).toEqual([3, 4, 5, 6]);
    expect(prepend(late, [event(2), event(3)])).toBe(late);
    expect(newest(stretch, 2).events.map((e) => e.seq)).toEqual([2, 3]);
  });
});

describe("the timeline", () => {
  it("divides days by Viet Nam's clock, joins what one says at once, and marks the first unread", () => {
    const at = (time: string) => ({ at: `2026-11-${time}:00Z` });
    const lines = timeline(
      [
        event(1, at("25T16:58")),
        event(2, at("25T16:59")),
        event(3, at("25T17:00")), // the next day in Ha Noi
        event(4, { ...at("25T17:01"), sender: "an" }),
        event(5, at("25T17:02")),
        event(6, at("25T17:09")),
        event(7, at("25T17:10")),
      ],
      [{ clientId: "k", conversation: "c", text: "", at: Date.UTC(2026, 10, 25, 17, 11) }],
      "an",
      7,
    );
    expect(lines.map((l) => l.newDay)).toEqual([true, false, true, false, false, false, false, false]);
    expect(lines.map((l) => l.joined)).toEqual([false, true, false, false, false, false, false, false]);
    expect(lines.map((l) => l.unread)).toEqual([false, false, false, false, false, false, true, false]);
  });

  it("begins the unread with what others said", () => {
    const events = [event(1), event(2, { sender: "an" }), event(3, { kind: "member.joined" }), event(4)];
    expect(firstUnread(events, 1, "an")).toBe(4);
    expect(firstUnread(events, 4, "an")).toBeNull();
  });
});

describe("the list", () => {
  const conversation = (id: string, seq: number, read: number) =>
    ({ id, seq, count: seq, read_seq: read, read_count: read, unread: seq - read, last_at: "" }) as Conversation;
  const both = [conversation("c", 3, 3), conversation("d", 1, 0)];

  it("brings up what was said last, and counts it", () => {
    const next = withEvent(both, event(2, { conversation: "d" }), new Map());
    expect(next?.map((c) => [c.id, c.unread])).toEqual([["d", 2], ["c", 0]]);
    expect(withEvent(both, event(3), new Map())).toBe(both);
    expect(withEvent(both, event(5), new Map())).toBeNull();
    expect(withEvent(both, event(1, { conversation: "new" }), new Map())).toBeNull();
  });

  it("keeps what was read since it was asked for, and notices that it is older than an event", () => {
    expect(overlay(both, new Map([["d", { seq: 1, count: 1 }]]))[1]?.unread).toBe(0);
    expect(isBehind(both, new Map([["c", { seq: 3 }]]))).toBe(false);
    expect(isBehind(both, new Map([["c", { seq: 4 }]]))).toBe(true);
    expect(isBehind(both, new Map([["new", { seq: 1 }]]))).toBe(true);
  });
});
