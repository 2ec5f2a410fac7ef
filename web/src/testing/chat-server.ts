import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { serve } from "./server";

export interface ServedEvent {
  type: "event";
  conversation: string;
  seq: number;
  event_id: string;
  kind: string;
  sender: string;
  sender_name: string;
  client_id: string;
  body: unknown;
  count: number;
  at: string;
}

interface Command {
  type: string;
  id: number;
  conversation: string;
  client_id: string;
  body: { text: string };
  after: number;
  seq: number;
  cursors: Record<string, { seq: number; event_id: string }>;
  user_seq: number;
}

type Hook = (command: Command, reply: (message: object) => void) => boolean;

/**
 * A server of the chat protocol for unit tests, over real sockets: one person,
 * conversations in memory. Tests bend it: cut, close, refuse, forget.
 */
export class ChatServer {
  readonly logs = new Map<string, ServedEvent[]>();
  readonly personLog: { type: "person_event"; seq: number; event_id: string; kind: string; body: unknown; at: string }[] = [];
  readonly reads = new Map<string, number>();
  /** All commands that came, in order. */
  readonly heard: Command[] = [];
  connections = 0;
  connectedAt: number[] = [];
  /** Takes a command before the server does; true: that was all. */
  hook: Hook = () => false;
  /** The answer to a handshake; 0 lets it through. */
  refuse = 0;
  /** The session is locked: it reads and writes nothing. */
  locked = false;
  /** The status of everything asked over HTTP; 0 answers. */
  httpStatus = 0;
  private epoch = "a";
  private readonly sockets = new Set<WebSocket>();

  private constructor(
    private readonly wss: WebSocketServer,
    readonly me: string,
  ) {}

  static async start(me: string): Promise<ChatServer> {
    let server: ChatServer | undefined = undefined;
    const wss = new WebSocketServer({
      port: 0,
      host: "127.0.0.1",
      verifyClient: (_info, done) => (server?.refuse ? done(false, server.refuse) : done(true)),
    });
    await once(wss, "listening");
    const made = new ChatServer(wss, me);
    server = made;
    wss.on("connection", (ws) => made.connected(ws));
    made.answerHttp();
    return made;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.wss.address() as AddressInfo).port}/api/v1/chat/socket`;
  }

  /** Sockets that are there now. */
  get open(): number {
    return this.sockets.size;
  }

  async stop(): Promise<void> {
    this.cut();
    const closed = once(this.wss, "close");
    this.wss.close();
    await closed;
  }

  /** The network goes: no close frame. */
  cut(): void {
    for (const ws of this.sockets) ws.terminate();
  }

  close(code: number): void {
    for (const ws of this.sockets) ws.close(code);
  }

  push(message: object): void {
    for (const ws of this.sockets) ws.send(JSON.stringify(message));
  }

  /** Stores what somebody says, and pushes it. */
  say(conversation: string, sender: string, text: string, { quietly = false, clientId = "" } = {}): ServedEvent {
    return this.append(conversation, { kind: "message", sender, body: { text }, clientId }, quietly);
  }

  tell(kind: string, body: unknown): void {
    const seq = this.personLog.length + 1;
    const event = { type: "person_event" as const, seq, event_id: `p${this.epoch}${seq}`, kind, body, at: stamp(seq) };
    this.personLog.push(event);
    this.push(event);
  }

  /** The database is restored to how it was when the log had so many events. */
  restore(conversation: string, length: number): void {
    this.epoch += "b";
    this.logs.set(conversation, this.log(conversation).slice(0, length));
  }

  log(conversation: string): ServedEvent[] {
    let log = this.logs.get(conversation);
    if (!log) this.logs.set(conversation, (log = []));
    return log;
  }

  texts(conversation: string): string[] {
    return this.log(conversation).map((e) => (e.body as { text: string }).text);
  }

  private append(conversation: string, e: { kind: string; sender: string; body: unknown; clientId: string }, quietly: boolean): ServedEvent {
    const log = this.log(conversation);
    const seq = log.length + 1;
    const event_id = `${conversation}-${this.epoch}${seq}`;
    const event: ServedEvent = {
      type: "event", conversation, seq, event_id, kind: e.kind, sender: e.sender, sender_name: `Name of ${e.sender}`,
      client_id: e.clientId || event_id, body: e.body, count: seq, at: stamp(seq),
    };
    log.push(event);
    if (!quietly) this.push(event);
    return event;
  }

  private connected(ws: WebSocket): void {
    this.connections++;
    this.connectedAt.push(Date.now());
    this.sockets.add(ws);
    ws.on("close", () => this.sockets.delete(ws));
    ws.on("message", (data) => {
      const command = JSON.parse((data as Buffer).toString()) as Command;
      this.heard.push(command);
      const reply = (message: object) => ws.send(JSON.stringify({ id: command.id, ...message }));
      if (!this.hook(command, reply)) this.obey(command, reply);
    });
  }

  private obey(c: Command, reply: (message: object) => void): void {
    if (this.locked && ["send", "pull", "pull_person", "read"].includes(c.type)) return reply({ type: "error", code: "locked", detail: "" });
    switch (c.type) {
      case "hello": {
        const known = (id: string) => this.log(id)[(c.cursors[id]?.seq ?? 0) - 1]?.event_id === c.cursors[id]?.event_id || c.cursors[id]?.seq === 0;
        const heads = [...this.logs].map(([conversation, log]) => ({ conversation, seq: log.length, event_id: log.at(-1)?.event_id ?? "", count: log.length }));
        reply({
          type: "welcome", protocol: 1, user_seq: this.personLog.length, user_event_id: this.personLog.at(-1)?.event_id ?? "", max_text: 16384,
          reload: Object.keys(c.cursors).filter((id) => !known(id)),
          heads: heads.filter((h) => !c.cursors[h.conversation] || !known(h.conversation) || (c.cursors[h.conversation]?.seq ?? 0) < h.seq),
        });
        break;
      }
      case "send": {
        const there = this.log(c.conversation).find((e) => e.sender === this.me && e.client_id === c.client_id);
        const e = there ?? this.say(c.conversation, this.me, c.body.text, { clientId: c.client_id });
        reply({ type: "ack", conversation: c.conversation, client_id: c.client_id, seq: e.seq, event_id: e.event_id, count: e.count, at: e.at });
        break;
      }
      case "pull":
        reply({ type: "events", conversation: c.conversation, head: this.log(c.conversation).length, events: this.log(c.conversation).slice(c.after, c.after + 3) });
        break;
      case "pull_person":
        reply({ type: "person_events", head: this.personLog.length, events: this.personLog.slice(c.after, c.after + 200) });
        break;
      case "read":
        this.reads.set(c.conversation, c.seq);
        reply({ type: "ok" });
        break;
      case "ping":
        reply({ type: "pong" });
    }
  }

  private answerHttp(): void {
    const events = (id: string) => (request: Request) => {
      const before = Number(new URL(request.url).searchParams.get("before") ?? 0) || Infinity;
      const limit = Number(new URL(request.url).searchParams.get("limit"));
      const page = this.log(id).filter((e) => e.seq < before).slice(-limit);
      return this.httpStatus ? { status: this.httpStatus, body: {} } : { body: { head: this.log(id).length, events: page } };
    };
    serve({
      "GET /api/v1/sessions/current": () => ({ body: { locked: this.locked } }),
      "GET /api/v1/chat/summary": () => ({ status: this.refuse || this.httpStatus || (this.locked ? 423 : 200), body: {} }),
      "GET /api/v1/chat/conversations": () =>
        this.httpStatus ? { status: this.httpStatus, body: {} } : { body: { user_seq: 0, user_event_id: "", conversations: [...this.logs.keys()].map((id) => this.listed(id)) } },
      ...Object.fromEntries(["c1", "c2"].map((id) => [`GET /api/v1/chat/conversations/${id}/events`, events(id)])),
    });
  }

  private listed(id: string) {
    const log = this.log(id);
    const read = Math.max(this.reads.get(id) ?? 0, log.findLast((e) => e.sender === this.me)?.seq ?? 0);
    const members = [this.me, "chi"].map((m) => ({ id: m, name: `Name of ${m}`, given_name: m, title: "", unit: "", agency_id: "", agency_name: "", owner: false }));
    return {
      id, kind: "direct", title: "", agency_id: "a", seq: log.length, event_id: log.at(-1)?.event_id ?? "", count: log.length, read_seq: read, read_count: read,
      unread: log.length - read, last_at: stamp(log.length), last: log.at(-1), owner: false, member_count: 2, members,
    };
  }
}

/** Times of a fixed day, in the order of seq. */
const stamp = (seq: number) => new Date(Date.UTC(2026, 10, 25, 1, 0, seq)).toISOString();
