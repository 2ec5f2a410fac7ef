import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ConnectionState } from "../../api/connection";
import { ChatSocket, Lost, pauseBefore, Refused } from "./socket";
import { decode, endingOf, newClientId } from "./wire";

/** What a browser's WebSocket looks like from the page; the test is its network. */
class Wire {
  static all: Wire[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((e: { data: string }) => void) | null = null;
  onclose: ((e: { code: number }) => void) | null = null;
  sent: { type: string; id: number }[] = [];
  closed = false;
  constructor(readonly url: string) {
    Wire.all.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text) as { type: string; id: number });
  }
  close() {
    this.closed = true;
  }
  hear(message: object) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  welcome() {
    this.onopen?.();
    this.hear({ type: "welcome", id: this.sent.at(-1)?.id, user_seq: 0, user_event_id: "", heads: [], max_text: 1 });
  }
}

let states: ConnectionState[] = [];
let socket: ChatSocket;
const last = () => {
  const wire = Wire.all.at(-1);
  if (!wire) throw new Error("no socket was opened");
  return wire;
};

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", Wire);
  Wire.all = [];
  states = [];
  socket = new ChatSocket({
    url: "ws://server/", random: () => 1,
    hello: () => ({ type: "hello", protocol: 1, user_seq: 0, user_event_id: "", cursors: {} }),
    onWelcome: () => {}, onPush: () => {}, onSessionEnded: () => {}, onRefused: () => {}, onState: (s) => states.push(s),
  });
});
afterEach(() => {
  socket.stop();
  vi.useRealTimers();
});

async function online(): Promise<Wire> {
  socket.start();
  last().welcome();
  await vi.advanceTimersByTimeAsync(0);
  expect(states.at(-1)).toBe("online");
  return last();
}

describe("the socket", () => {
  it("asks a silent server for a sign of life, and leaves one that gives none", async () => {
    const wire = await online();
    await vi.advanceTimersByTimeAsync(24_000);
    wire.hear({ type: "hint", kind: "mail.changed", body: {} });
    await vi.advanceTimersByTimeAsync(24_000);
    expect(wire.sent.map((m) => m.type)).toEqual(["hello"]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(wire.sent.map((m) => m.type)).toEqual(["hello", "ping"]);
    wire.hear({ type: "pong", id: wire.sent[1]?.id });
    await vi.advanceTimersByTimeAsync(26_000);
    expect(wire.sent).toHaveLength(3);
    const asked = socket.ask({ type: "read", conversation: "c", seq: 1 });
    const failed = expect(asked).rejects.toBeInstanceOf(Lost);
    await vi.advanceTimersByTimeAsync(10_000);
    await failed;
    expect(wire.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(500);
    expect(Wire.all).toHaveLength(2);
    // What still comes of the old one is nobody's.
    wire.onclose?.({ code: 1006 });
    expect(socket.online).toBe(false);
  });

  it("leaves a server that takes the connection and does not welcome", async () => {
    socket.start();
    last().onopen?.();
    await vi.advanceTimersByTimeAsync(15_500);
    expect(Wire.all).toHaveLength(2);
  });

  it("comes back after growing pauses, and shows it only when it takes long", async () => {
    const wire = await online();
    wire.onclose?.({ code: 1006 });
    const pauses: number[] = [];
    for (let i = 0; i < 9; i++) {
      const before = Wire.all.length;
      const from = Date.now();
      while (Wire.all.length === before) await vi.advanceTimersByTimeAsync(100);
      pauses.push(Date.now() - from);
      if (i === 0) expect(states).toEqual(["connecting", "online"]);
      last().onclose?.({ code: 1006 });
    }
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
    expect(states).toEqual(["connecting", "online", "reconnecting"]);
    last().onclose?.({ code: 1006 });
  });

  it("begins with short pauses again after a connection that lasted", async () => {
    const wire = await online();
    wire.onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(500);
    last().onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(1000);
    last().welcome();
    await vi.advanceTimersByTimeAsync(11_000);
    last().onclose?.({ code: 1006 });
    await vi.advanceTimersByTimeAsync(500);
    expect(Wire.all).toHaveLength(4);
  });

  it("hurries when somebody waits, but not in a storm", async () => {
    const wire = await online();
    for (let i = 0, w = wire; i < 5; i++, w = last()) {
      w.onclose?.({ code: 1006 });
      await vi.advanceTimersByTimeAsync(30_000);
    }
    last().onclose?.({ code: 1006 });
    const before = Wire.all.length;
    for (let i = 0; i < 10; i++) socket.hurry();
    await vi.advanceTimersByTimeAsync(500);
    expect(Wire.all).toHaveLength(before + 1);
  });

  it("says offline where the browser knows of no network, and comes back with it", async () => {
    const wire = await online();
    const net = vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
    window.dispatchEvent(new Event("offline"));
    // The browser may be wrong: the server is asked.
    expect(wire.sent.at(-1)?.type).toBe("ping");
    expect(states.at(-1)).toBe("offline");
    wire.hear({ type: "pong", id: wire.sent.at(-1)?.id });
    await vi.advanceTimersByTimeAsync(0);
    expect(states.at(-1)).toBe("online");
    window.dispatchEvent(new Event("offline"));
    await vi.advanceTimersByTimeAsync(6_100);
    expect(states).toEqual(["connecting", "online", "offline", "online", "offline", "offline"]);
    last().onclose?.({ code: 1006 });
    net.mockReturnValue(true);
    window.dispatchEvent(new Event("online"));
    await vi.advanceTimersByTimeAsync(500);
    last().welcome();
    await vi.advanceTimersByTimeAsync(0);
    expect(states.at(-1)).toBe("online");
  });

  it("waits to be looked at when the account has too many connections", async () => {
    const wire = await online();
    const seen = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
    wire.onclose?.({ code: 4505 });
    await vi.advanceTimersByTimeAsync(120_000);
    expect(Wire.all).toHaveLength(1);
    expect(states.at(-1)).toBe("reconnecting");
    seen.mockReturnValue("visible");
    document.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(500);
    expect(Wire.all).toHaveLength(2);
    // A page that is looked at comes back by itself.
    last().welcome();
    await vi.advanceTimersByTimeAsync(0);
    last().onclose?.({ code: 4505 });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(Wire.all).toHaveLength(3);
    seen.mockRestore();
  });

  it("tells a refusal from a loss", async () => {
    const wire = await online();
    const asked = socket.ask({ type: "read", conversation: "c", seq: 1 });
    wire.hear({ type: "error", id: wire.sent.at(-1)?.id, code: "rate_limited", detail: "", retry_after_ms: 40 });
    await expect(asked).rejects.toMatchObject({ code: "rate_limited", retryAfterMs: 40 });
    await expect(asked).rejects.toBeInstanceOf(Refused);
  });
});

describe("the wire", () => {
  it("takes several messages a frame and passes over what it does not know", () => {
    const types = decode('{"type":"pong","id":1}\n{"type":"poll.opened"}\n{"type":"head","conversation":"c","seq":1}').map((m) => m.type);
    expect(types).toEqual(["pong", "head"]);
  });

  it("knows what each reason to close means", () => {
    expect([4501, 4400, 4408, 1009, 4404, 4407, 4502, 4503, 4504, 1006, 1001, 1011, 4505].map(endingOf)).toEqual([
      "session", "fault", "fault", "fault", "again", "again", "again", "again", "again", "again", "again", "again", "crowded",
    ]);
  });

  it("draws pauses from nothing to a bound", () => {
    expect(pauseBefore(0, () => 0)).toBe(0);
    expect(pauseBefore(3, () => 0.5)).toBe(2000);
    expect(pauseBefore(99, () => 1)).toBe(30_000);
  });

  it("makes client ids that are canonical UUIDv7 and sort as they were made, though the clock stands or goes back", () => {
    const ids = [newClientId(1_000), newClientId(1_000), newClientId(900), newClientId(2_000_000_000_000)];
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([...ids].sort()).toEqual(ids);
    expect(ids[3]?.replace(/-/g, "").slice(0, 12)).toBe((2_000_000_000_000).toString(16).padStart(12, "0"));
  });
});
