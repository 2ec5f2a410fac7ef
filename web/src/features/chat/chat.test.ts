import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useConnection } from "../../api/connection";
import { conversationsQuery } from "../../api/conversations";
import { forgetLock, openPage, useLock } from "../../api/lock";
import { onPushed, type Pushed } from "../../api/push";
import { onSessionEnded } from "../../api/session-state";
import { clearKept } from "../../lib/kept";
import { ChatServer } from "../../testing/chat-server";
import { Chat } from "./chat";
import { unreadIn } from "./list";
import { textOf } from "./timeline";

let server: ChatServer;
let queryClient: QueryClient;
const running: Chat[] = [];

beforeEach(async () => {
  server = await ChatServer.start("an");
  server.log("c1");
  queryClient = new QueryClient();
});
afterEach(async () => {
  for (const chat of running.splice(0)) chat.stop();
  forgetLock();
  await server.stop();
});

function open(): Chat {
  const chat = new Chat({ person: { id: "an", name: "Name of an" }, queryClient, url: server.url, random: () => 0 });
  running.push(chat);
  chat.start();
  return chat;
}

const state = () => useConnection.getState().state;
const shown = (chat: Chat, id = "c1") => chat.view(id).stretch.events.map(textOf);
const list = () => queryClient.getQueryData(conversationsQuery.queryKey);
const heard = (type: string) => server.heard.filter((c) => c.type === type);
const within = { timeout: 5_000, interval: 5 };
const until = (check: () => void) => vi.waitFor(check, within);

/** A chat that shows c1, up to date. */
async function reading(): Promise<Chat> {
  const chat = open();
  chat.show("c1");
  await until(() => {
    expect(state()).toBe("online");
    expect(chat.view("c1").ready).toBe(true);
    expect(list()).toHaveLength(server.logs.size);
  });
  return chat;
}

describe("what others say", () => {
  it("comes in order, once, with what was missed pulled", async () => {
    server.say("c1", "chi", "1");
    const chat = await reading();
    expect(shown(chat)).toEqual(["1"]);
    const second = server.say("c1", "chi", "2");
    server.push(second); // doubled on the way
    server.say("c1", "chi", "3", { quietly: true });
    server.say("c1", "chi", "4", { quietly: true });
    server.say("c1", "chi", "5");
    await until(() => expect(shown(chat)).toEqual(["1", "2", "3", "4", "5"]));
    expect(heard("pull").map((c) => c.after)).toEqual([2]);
  });

  it("is caught up with after the connection was cut, from the cursor on", async () => {
    for (let i = 1; i <= 4; i++) server.say("c1", "chi", String(i));
    const chat = await reading();
    server.cut();
    for (let i = 5; i <= 12; i++) server.say("c1", "chi", String(i), { quietly: true });
    await until(() => expect(shown(chat)).toEqual(Array.from({ length: 12 }, (_, i) => String(i + 1))));
    expect(heard("hello").at(-1)?.cursors["c1"]).toEqual({ seq: 4, event_id: "c1-a4" });
    // Pages of three: asked again until the head is there.
    expect(heard("pull").map((c) => c.after)).toEqual([4, 7, 10]);
    expect(list()?.[0]).toMatchObject({ seq: 12, unread: 12 });
  });

  it("is forgotten where the server has forgotten it", async () => {
    for (let i = 1; i <= 4; i++) server.say("c1", "chi", `old ${i}`);
    const chat = await reading();
    server.restore("c1", 2);
    server.say("c1", "chi", "new 3", { quietly: true });
    server.say("c1", "chi", "new 4", { quietly: true });
    server.cut();
    await until(() => expect(shown(chat)).toEqual(["old 1", "old 2", "new 3", "new 4"]));
  });

  it("is pulled when the server had to drop it", async () => {
    const chat = await reading();
    server.say("c1", "chi", "1", { quietly: true });
    server.push({ type: "lagging", conversations: ["c1"] });
    await until(() => expect(shown(chat)).toEqual(["1"]));
  });

  it("is pulled again after an empty page whose head tells of more, and not for ever", async () => {
    const chat = await reading();
    const pulls = () => heard("pull").length;
    server.hook = (c, reply) => {
      if (c.type !== "pull" || pulls() > 1) return false;
      // Said after the page was read, and before the answer.
      server.say("c1", "chi", "2");
      reply({ type: "events", conversation: "c1", head: 2, events: [] });
      return true;
    };
    server.say("c1", "chi", "1", { quietly: true });
    server.push({ type: "lagging", conversations: ["c1"] });
    await until(() => expect(shown(chat)).toEqual(["1", "2"]));
    expect(pulls()).toBe(2);

    server.hook = (c, reply) => {
      if (c.type !== "pull") return false;
      reply({ type: "events", conversation: "c1", head: 9, events: [] });
      return true;
    };
    server.push({ type: "lagging", conversations: ["c1"] });
    await until(() => expect(pulls()).toBe(4));
    // The person's log is asked meanwhile: a third pull would have come before.
    server.push({ type: "lagging", conversations: [], person: true });
    await until(() => expect(heard("pull_person")).toHaveLength(1));
    expect(pulls()).toBe(4);
    // The next push tries again.
    server.hook = () => false;
    server.say("c1", "chi", "3", { quietly: true });
    server.say("c1", "chi", "4");
    await until(() => expect(shown(chat)).toEqual(["1", "2", "3", "4"]));
  });

  it("of my own log is pulled again after an empty page, too", async () => {
    await reading();
    const pulls = () => heard("pull_person").length;
    server.hook = (c, reply) => {
      if (c.type !== "pull_person" || pulls() > 1) return false;
      server.tell("read", { conversation: "c1", seq: 1, count: 1 });
      reply({ type: "person_events", head: 1, events: [] });
      return true;
    };
    const got: Pushed[] = [];
    const off = onPushed((p) => void got.push(p));
    server.personLog.push({ type: "person_event", seq: 1, event_id: "p1", kind: "meeting.invited", body: {}, at: "2026-11-25T01:00:00Z" });
    server.push({ type: "lagging", conversations: [], person: true });
    await until(() => expect(got.map((p) => p.id)).toEqual(["p1"]));
    off();
    expect(pulls()).toBe(2);
  });

  it("reaches back page by page", async () => {
    for (let i = 1; i <= 130; i++) server.say("c1", "chi", String(i));
    const chat = await reading();
    expect(shown(chat)[0]).toBe("31");
    expect(chat.view("c1").complete).toBe(false);
    await chat.loadOlder("c1");
    expect(shown(chat)).toHaveLength(130);
    expect(chat.view("c1").complete).toBe(true);
  });

  it("counts as unread until it is read, here or on another device", async () => {
    server.log("c2");
    const chat = await reading();
    server.say("c1", "chi", "1");
    server.say("c2", "chi", "1");
    server.say("c2", "chi", "2");
    await until(() => expect(unreadIn(list())).toBe(3));
    expect(list()?.[0]?.id).toBe("c2"); // the newest first
    chat.attend("c1");
    await until(() => expect(server.reads.get("c1")).toBe(1));
    expect(unreadIn(list())).toBe(2);
    // While it is before one's eyes, what comes is read.
    server.say("c1", "chi", "2");
    await until(() => expect(server.reads.get("c1")).toBe(2));
    expect(unreadIn(list())).toBe(2);
    server.tell("read", { conversation: "c2", seq: 1, count: 1 });
    await until(() => expect(unreadIn(list())).toBe(1));
  });

  it("shows who types, until they have said it", async () => {
    const chat = await reading();
    await until(() => expect(heard("look").at(-1)?.conversation).toBe("c1"));
    server.push({ type: "typing", conversation: "c1", person: "chi", name: "Lê Thị Kim Chi" });
    await until(() => expect(chat.view("c1").typing).toEqual([{ person: "chi", name: "Lê Thị Kim Chi" }]));
    server.say("c1", "chi", "1");
    await until(() => expect(chat.view("c1").typing).toEqual([]));
  });
});

describe("what I say", () => {
  it("is stored once though the ack was lost, and shown once all the while", async () => {
    const chat = await reading();
    let lose = true;
    server.hook = (c) => {
      if (c.type !== "send" || !lose) return false;
      lose = false;
      server.say("c1", "an", c.body.text, { clientId: c.client_id, quietly: true });
      server.cut();
      return true;
    };
    const seen = new Set<number>();
    chat.subscribe(() => seen.add(shown(chat).length + chat.view("c1").outgoing.length));
    chat.send("c1", "once");
    await until(() => expect(chat.view("c1").outgoing).toEqual([]));
    expect(server.texts("c1")).toEqual(["once"]);
    expect(shown(chat)).toEqual(["once"]);
    expect(seen).toEqual(new Set([1]));
    expect(localStorage).toHaveLength(0);
  });

  it("goes out in order, each after the last one's ack, though some must wait", async () => {
    const chat = await reading();
    let busy = 2;
    server.hook = (c, reply) => {
      if (c.type !== "send" || busy-- <= 0) return false;
      reply({ type: "error", code: busy === 1 ? "unavailable" : "rate_limited", detail: "", retry_after_ms: 5 });
      return true;
    };
    for (const text of ["1", "2", "3"]) chat.send("c1", text);
    await until(() => expect(shown(chat)).toEqual(["1", "2", "3"]));
    expect(server.texts("c1")).toEqual(["1", "2", "3"]);
    expect(heard("send").map((c) => c.body.text)).toEqual(["1", "1", "1", "2", "3"]);
    expect(new Set(heard("send").map((c) => c.client_id)).size).toBe(3);
  });

  it("survives a page that closes before it is sent, for its writer alone", async () => {
    const chat = await reading();
    server.refuse = 503;
    server.cut();
    await until(() => expect(state()).toBe("reconnecting"));
    chat.send("c1", "first");
    chat.send("c1", "second");
    expect(chat.view("c1").outgoing.map((o) => o.text)).toEqual(["first", "second"]);
    chat.stop();
    const other = new Chat({ person: { id: "binh", name: "" }, queryClient, url: server.url });
    expect(other.view("c1").outgoing).toEqual([]);
    server.refuse = 0;
    const again = await reading();
    await until(() => expect(shown(again)).toEqual(["first", "second"]));
    expect(server.texts("c1")).toEqual(["first", "second"]);
    expect(localStorage).toHaveLength(0);
  });

  it("is gone with signing out", async () => {
    const chat = await reading();
    server.hook = (c) => c.type === "send";
    chat.send("c1", "never");
    expect(localStorage).toHaveLength(1);
    chat.stop();
    clearKept("an");
    expect((await reading()).view("c1").outgoing).toEqual([]);
  });

  it("says why it was not taken, lets the next one go, and can be sent again or discarded", async () => {
    const chat = await reading();
    let refuse = true;
    server.hook = (c, reply) => {
      if (c.type !== "send" || !refuse || c.body.text === "3") return false;
      reply({ type: "error", code: "not_found", detail: "" });
      return true;
    };
    for (const text of ["1", "2", "3"]) chat.send("c1", text);
    await until(() => expect(shown(chat)).toEqual(["3"]));
    const [one, two] = chat.view("c1").outgoing;
    expect([one?.failure, two?.failure]).toEqual(["not_found", "not_found"]);
    refuse = false;
    chat.retry("c1", one?.clientId ?? "");
    chat.discard("c1", two?.clientId ?? "");
    await until(() => expect(shown(chat)).toEqual(["3", "1"]));
    expect(chat.view("c1").outgoing).toEqual([]);
    expect(localStorage).toHaveLength(0);
  });

  it("waits while the session is locked, and goes out once it is open, with what was said meanwhile", async () => {
    server.say("c1", "chi", "1");
    const chat = await reading();
    server.locked = true;
    chat.attend("c1");
    chat.send("c1", "mine");
    await until(() => expect(useLock.getState().lock).toBe("locked"));
    // The connection comes back to a session that is still locked.
    server.cut();
    server.say("c1", "chi", "2", { quietly: true });
    await until(() => expect(heard("pull")).toHaveLength(1));
    expect(chat.view("c1").outgoing.map((o) => [o.text, o.failure])).toEqual([["mine", undefined]]);
    expect(heard("send")).toHaveLength(1); // nobody asks again and again
    server.locked = false;
    openPage();
    await until(() => expect(shown(chat)).toEqual(["1", "2", "mine"]));
    expect(chat.view("c1").outgoing).toEqual([]);
    await until(() => expect(server.reads.get("c1")).toBeGreaterThan(0));
    expect(localStorage).toHaveLength(0);
  });

  it("moves my own read mark", async () => {
    server.say("c1", "chi", "1");
    const chat = await reading();
    expect(unreadIn(list())).toBe(1);
    chat.send("c1", "2");
    await until(() => expect(shown(chat)).toEqual(["1", "2"]));
    expect(unreadIn(list())).toBe(0);
  });
});

describe("the connection", () => {
  it("ends with the session, once", async () => {
    const ended = vi.fn();
    onSessionEnded(ended);
    await reading();
    server.close(4501);
    await until(() => expect(ended).toHaveBeenCalledTimes(1));
    expect(state()).toBe("idle");
    expect(server.connections).toBe(1);
  });

  it("asks over HTTP why it was refused, and so learns that the session is over", async () => {
    const ended = vi.fn();
    onSessionEnded(ended);
    await reading();
    server.refuse = 401;
    server.cut();
    await until(() => expect(ended).toHaveBeenCalled());
  });

  it("does not come back to a server that it does not understand", async () => {
    await reading();
    server.close(4408);
    await until(() => expect(state()).toBe("outdated"));
    expect(server.connections).toBe(1);
  });

  it("comes back when the server says, not before, though somebody waits", async () => {
    const chat = await reading();
    const asked = Date.now();
    server.push({ type: "reconnect_after", after_ms: 700 });
    server.close(4502);
    await until(() => expect(server.open).toBe(0));
    chat.send("c1", "waits");
    await until(() => expect(server.texts("c1")).toEqual(["waits"]));
    expect((server.connectedAt[1] ?? 0) - asked).toBeGreaterThanOrEqual(695);
  });

  it("loads what could not be loaded while the server was away", async () => {
    server.say("c1", "chi", "1");
    server.httpStatus = 503;
    server.refuse = 503;
    const chat = open();
    chat.show("c1");
    await until(() => expect(chat.view("c1").error).toBe("unavailable"));
    server.httpStatus = 0;
    server.refuse = 0;
    await until(() => expect(shown(chat)).toEqual(["1"]));
    await until(() => expect(list()).toHaveLength(1));
  });

  it("hands on the person's news: old ones as old, live ones as live, each once", async () => {
    const got: Pushed[] = [];
    const stop = onPushed((p) => got.push(p));
    server.tell("meeting.invited", { meeting_id: "old" });
    await reading();
    await until(() => expect(got).toHaveLength(1));
    server.tell("meeting.invited", { meeting_id: "live" });
    server.push({ type: "hint", kind: "mail.changed", body: { arrived: true } });
    await until(() => expect(got).toHaveLength(3));
    server.cut();
    server.tell("meeting.invited", { meeting_id: "missed" });
    await until(() => expect(got).toHaveLength(4));
    stop();
    expect(got.map((p) => [p.kind, (p.body as { meeting_id?: string }).meeting_id, p.live])).toEqual([
      ["meeting.invited", "old", false],
      ["meeting.invited", "live", true],
      ["mail.changed", undefined, true],
      ["meeting.invited", "missed", true],
    ]);
    expect(heard("hello").at(-1)?.user_seq).toBe(2);
  });
});
