import type { QueryClient } from "@tanstack/react-query";
import { setConnection } from "../../api/connection";
import { conversationsQuery, type Conversation } from "../../api/conversations";
import { codeOf } from "../../api/error";
import { useLock } from "../../api/lock";
import { pushed } from "../../api/push";
import { sessionEnded } from "../../api/session-state";
import { askWhoIsSignedIn, fetchEvents } from "./api";
import { isBehind, overlay, withEvent, type Mark } from "./list";
import { append, emptyStretch, firstSeq, fromStart, lastSeq, newest, prepend, type Stretch } from "./log";
import { Outbox, type Outgoing } from "./outbox";
import { PersonLog } from "./person-log";
import { ChatSocket, Refused } from "./socket";
import { protocol, type Cursor, type Head, type LogEvent, type PersonEvent, type Push, type Welcome } from "./wire";

/** A conversation as its page sees it. */
export interface View {
  /** Loaded at least once. */
  ready: boolean;
  stretch: Stretch;
  /** Nothing older exists. */
  complete: boolean;
  /** Older messages are on their way. */
  paging: boolean;
  /** The code of what went wrong with loading. */
  error?: string;
  outgoing: Outgoing[];
  typing: { person: string; name: string }[];
}

interface Room {
  ready: boolean;
  stretch: Stretch;
  paging: boolean;
  loading: boolean;
  pulling: boolean;
  error?: string;
  /** Pages that show it. */
  shown: number;
  typing: Map<string, { name: string; until: ReturnType<typeof setTimeout> }>;
}

export interface ChatOptions {
  person: { id: string; name: string };
  queryClient: QueryClient;
  url: string;
  random?: () => number;
}

const pageSize = 100;
const jumpPageSize = 200;
const typingShown = 6_000;
const typingEvery = 5_000;
const keptRooms = 10;
const keptEvents = 200;
const longestRetry = 30_000;

/**
 * The signed-in person's chat: the socket, the logs of the conversations looked
 * at, and what is not sent yet. It lives outside React for as long as somebody
 * is signed in; components subscribe and render.
 *
 * Order within a conversation is kept by having one message on its way at a
 * time. Whatever may be lost is asked for again: events by their seq, messages
 * by their client id.
 */
export class Chat {
  private readonly me: { id: string; name: string };
  private readonly queries: QueryClient;
  private readonly socket: ChatSocket;
  private readonly outbox: Outbox;
  private readonly log: PersonLog;
  private readonly rooms = new Map<string, Room>();
  private readonly heads = new Map<string, Head>();
  private readonly marks = new Map<string, Mark>();
  /** Marks that the server does not know yet. */
  private readonly unsaidReads = new Map<string, number>();
  private readonly sending = new Set<string>();
  private readonly sendTimers = new Map<string, ReturnType<typeof setTimeout>>();
  private attended = "";
  private looking = "";
  private typedAt = 0;
  private refreshing: Promise<void> | null = null;
  private refreshAgain = false;
  private stopped = false;
  private stopOutbox = () => {};
  private stopLock = () => {};
  private readonly listeners = new Set<() => void>();
  private readonly views = new Map<string, View>();
  /** Bytes that a message may have. */
  maxText = 16 << 10;

  constructor({ person, queryClient, url, random }: ChatOptions) {
    this.me = person;
    this.queries = queryClient;
    this.outbox = new Outbox(person.id);
    this.log = new PersonLog({
      pull: async (after) => (await this.socket.ask({ type: "pull_person", after, limit: 200 })),
      onRead: (conversation, mark) => this.mark(conversation, mark),
      onJoined: (conversation, e) => void this.join(conversation, e),
      onLeft: (conversation) => this.leave(conversation),
    });
    this.socket = new ChatSocket({
      url,
      random,
      hello: () => ({ type: "hello", protocol, ...this.log.cursor(), cursors: this.cursors() }),
      onWelcome: (w) => this.onWelcome(w),
      onPush: (p) => this.onPush(p),
      onState: setConnection,
      onSessionEnded: sessionEnded,
      onRefused: askWhoIsSignedIn,
    });
  }

  start(): void {
    this.stopOutbox = this.outbox.onOtherTab(() => this.changed());
    this.stopLock = useLock.subscribe(({ lock }, before) => {
      if (lock !== "open" || before.lock === "open") return;
      this.goOn();
      this.log.catchUp();
    });
    this.socket.start();
    if (!this.list()) void this.refresh();
  }

  stop(): void {
    this.stopped = true;
    this.stopOutbox();
    this.stopLock();
    this.socket.stop();
    for (const timer of this.sendTimers.values()) clearTimeout(timer);
    for (const room of this.rooms.values()) for (const t of room.typing.values()) clearTimeout(t.until);
  }

  subscribe = (fn: () => void): (() => void) => {
    this.listeners.add(fn);
    return () => void this.listeners.delete(fn);
  };

  /** The same value until something about the conversation changes. */
  view(conversation: string): View {
    const cached = this.views.get(conversation);
    if (cached) return cached;
    const room = this.rooms.get(conversation);
    const landed = new Set(room?.stretch.events.filter((e) => e.sender === this.me.id).map((e) => e.client_id));
    const view: View = {
      ready: room?.ready ?? false,
      stretch: room?.stretch ?? emptyStretch,
      complete: !!room?.ready && fromStart(room.stretch),
      paging: room?.paging ?? false,
      error: room?.error,
      outgoing: this.outbox.of(conversation).filter((o) => !landed.has(o.clientId)),
      typing: [...(room?.typing ?? [])].map(([person, { name }]) => ({ person, name })),
    };
    this.views.set(conversation, view);
    return view;
  }

  // ——— what pages do ———

  /** A page shows the conversation; returns how to say that it no longer does. */
  show(conversation: string): () => void {
    const room = this.room(conversation);
    room.shown++;
    // To the end, so that the first are those not looked at for longest.
    this.rooms.delete(conversation);
    this.rooms.set(conversation, room);
    this.look(conversation);
    if (!room.ready) void this.load(conversation);
    return () => {
      room.shown--;
      if (this.looking === conversation) this.look("");
      if (this.attended === conversation) this.attended = "";
      this.tidy();
    };
  }

  reload(conversation: string): void {
    void this.load(conversation);
  }

  async loadOlder(conversation: string, limit = pageSize): Promise<void> {
    const room = this.room(conversation);
    if (!room.ready || room.paging || fromStart(room.stretch)) return;
    room.paging = true;
    this.changed(conversation);
    try {
      const { events } = await fetchEvents(conversation, firstSeq(room.stretch), limit);
      room.stretch = prepend(room.stretch, events);
    } catch {
      // The list asks again when it is scrolled to its start again.
    } finally {
      room.paging = false;
      this.changed(conversation);
    }
  }

  /** Loads back until the event of a seq is here. */
  async loadTo(conversation: string, seq: number): Promise<boolean> {
    const room = this.room(conversation);
    for (;;) {
      const first = firstSeq(room.stretch);
      if (first <= seq || fromStart(room.stretch)) return true;
      await this.loadOlder(conversation, jumpPageSize);
      if (firstSeq(room.stretch) === first) return false;
    }
  }

  send(conversation: string, text: string): void {
    this.outbox.add(conversation, text, Date.now());
    this.changed(conversation);
    this.socket.hurry();
    void this.flush(conversation);
  }

  retry(conversation: string, clientId: string): void {
    this.outbox.retry(clientId);
    this.changed(conversation);
    this.socket.hurry();
    void this.flush(conversation);
  }

  discard(conversation: string, clientId: string): void {
    this.outbox.forget(clientId);
    this.changed(conversation);
  }

  /** The end of this conversation is before somebody's eyes; "" is none. */
  attend(conversation: string): void {
    this.attended = conversation;
    const last = this.rooms.get(conversation)?.stretch.events.at(-1);
    if (last) this.read(last);
  }

  /** It has been seen up to an event, though perhaps not to the end. */
  readTo(conversation: string, seq: number): void {
    const room = this.rooms.get(conversation);
    const last = room?.stretch.events.find((e) => e.seq === seq);
    if (last) this.read(last);
  }

  typing(conversation: string): void {
    if (Date.now() - this.typedAt < typingEvery) return;
    this.typedAt = Date.now();
    this.socket.tell({ type: "typing", conversation });
  }

  /** Asks for the list anew: something in it has changed that no event tells of. */
  refresh(): Promise<void> {
    if (this.refreshing) {
      this.refreshAgain = true;
      return this.refreshing;
    }
    this.refreshing = this.refreshOnce().finally(() => {
      this.refreshing = null;
      if (this.refreshAgain && !this.stopped) {
        this.refreshAgain = false;
        void this.refresh();
      }
    });
    return this.refreshing;
  }

  // ——— the list ———

  private list(): Conversation[] | undefined {
    return this.queries.getQueryData(conversationsQuery.queryKey);
  }

  private setList(list: Conversation[]): void {
    this.queries.setQueryData(conversationsQuery.queryKey, list);
  }

  private async refreshOnce(): Promise<void> {
    try {
      const list = await this.queries.fetchQuery({ ...conversationsQuery, staleTime: 0 });
      if (this.stopped) return;
      this.setList(overlay(list, this.marks));
      for (const c of list) this.raise({ conversation: c.id, seq: c.seq, event_id: c.event_id, count: c.count });
      // A push overtook the answer: the next one has it, as it was stored before.
      if (isBehind(list, this.heads)) this.refreshAgain = true;
    } catch {
      // The page shows the query's error; the next welcome asks again.
    }
  }

  private raise(head: Head): void {
    if ((this.heads.get(head.conversation)?.seq ?? -1) < head.seq) this.heads.set(head.conversation, head);
  }

  private mark(conversation: string, mark: Mark): void {
    const old = this.marks.get(conversation);
    if (old && old.seq >= mark.seq) return;
    this.marks.set(conversation, mark);
    const list = this.list();
    if (list) this.setList(overlay(list, this.marks));
  }

  private async join(conversation: string, e: PersonEvent): Promise<void> {
    await this.refresh();
    const c = this.list()?.find((one) => one.id === conversation);
    // A direct conversation speaks by its messages; a channel of one's own is no news.
    if (!c || c.kind !== "channel" || c.owner) return;
    const by = c.last?.kind === "member.joined" ? c.last.sender_name : "";
    pushed({ kind: "chat.added", body: { conversation, title: c.title, by }, id: e.event_id, at: e.at, live: true });
  }

  private leave(conversation: string): void {
    this.heads.delete(conversation);
    const room = this.rooms.get(conversation);
    if (room) {
      room.ready = false;
      room.stretch = emptyStretch;
      room.error = "not_found";
      this.changed(conversation);
    }
    const list = this.list();
    if (list) this.setList(list.filter((c) => c.id !== conversation));
  }

  // ——— the socket ———

  private cursors(): Record<string, Cursor> {
    const cursors: Record<string, Cursor> = {};
    for (const c of (this.list() ?? []).slice(0, 2000)) cursors[c.id] = { seq: c.seq, event_id: c.event_id };
    for (const [id, room] of this.rooms) {
      const last = room.stretch.events.at(-1);
      // The log of a conversation that is read counts before its line in the list.
      if (last && cursors[id]) cursors[id] = { seq: last.seq, event_id: last.event_id };
    }
    return cursors;
  }

  private onWelcome(w: Welcome): void {
    this.maxText = w.max_text;
    for (const id of w.gone ?? []) this.leave(id);
    for (const id of w.reload ?? []) this.startOver(id);
    for (const head of w.heads) this.raise(head);
    this.goOn();
    const list = this.list();
    if (!list || isBehind(list, this.heads) || w.reload?.length || w.gone?.length) void this.refresh();
    this.log.onWelcome(w);
  }

  /** Connected again, or the session is open again: asks and says what could not be meanwhile. */
  private goOn(): void {
    if (this.looking) this.socket.tell({ type: "look", conversation: this.looking });
    const seen = this.rooms.get(this.looking);
    if (seen) this.catchUp(this.looking, seen); // first what is on the screen
    for (const [id, room] of this.rooms) this.catchUp(id, room);
    for (const [id, seq] of this.unsaidReads) this.sayRead(id, seq);
    for (const id of this.outbox.conversations()) void this.flush(id);
  }

  private onPush(p: Push): void {
    switch (p.type) {
      case "event":
        this.take(p);
        break;
      case "person_event":
        this.log.take(p);
        break;
      case "head": {
        this.raise(p);
        const room = this.rooms.get(p.conversation);
        if (room) this.catchUp(p.conversation, room);
        void this.refresh();
        break;
      }
      case "typing":
        this.showTyping(p.conversation, p.person, p.name);
        break;
      case "hint":
        this.log.hint(p.kind, p.body);
        break;
      case "lagging":
        for (const id of p.conversations) {
          const room = this.rooms.get(id);
          if (room?.ready) void this.pull(id, room);
        }
        if (p.conversations.length > 0) void this.refresh();
        if (p.person) this.log.catchUp();
        break;
      case "reload":
        if (p.conversation) this.startOver(p.conversation);
        if (p.person) this.log.startOver();
        void this.refresh();
        break;
      case "reconnect_after":
        break; // the socket's business
    }
  }

  /** The server's history is another one than ours: show nothing that it lacks. */
  private startOver(conversation: string): void {
    this.heads.delete(conversation);
    this.marks.delete(conversation);
    const room = this.rooms.get(conversation);
    if (!room) return;
    room.ready = false;
    room.stretch = emptyStretch;
    this.changed(conversation);
    if (room.shown > 0) void this.load(conversation);
    else this.rooms.delete(conversation);
  }

  /** One event that follows, from the socket or made of an ack. */
  private take(e: LogEvent): void {
    this.raise(e);
    if (e.sender === this.me.id) this.outbox.confirm(e.client_id);
    const room = this.rooms.get(e.conversation);
    if (room?.ready) {
      this.hideTyping(e.conversation, e.sender);
      this.takeInto(e.conversation, room, [e]);
    } else {
      this.outbox.forget(e.client_id);
    }
    this.takeIntoList(e);
    this.changed(e.conversation);
  }

  private takeIntoList(e: LogEvent): void {
    // Who writes has read: the server says so by the message alone.
    if (e.sender === this.me.id && e.kind === "message") this.mark(e.conversation, { seq: e.seq, count: e.count });
    else if (this.attended === e.conversation) this.read(e);
    const list = this.list();
    if (!list) return;
    const next = withEvent(list, e, this.marks);
    if (next) this.setList(next);
    if (!next || e.kind !== "message") {
      // Members and titles stand in the list and on the conversation's own page.
      void this.refresh();
      void this.queries.invalidateQueries({ queryKey: ["chat", "conversation", e.conversation] });
    }
  }

  private takeInto(conversation: string, room: Room, events: readonly LogEvent[]): void {
    const taken = append(room.stretch, events);
    switch (taken.what) {
      case "taken":
      case "known":
        room.stretch = taken.stretch;
        for (const e of events) if (e.sender === this.me.id) this.outbox.forget(e.client_id);
        if (this.attended === conversation) {
          const last = room.stretch.events.at(-1);
          if (last) this.read(last);
        }
        break;
      case "gap":
        void this.pull(conversation, room);
        break;
      case "foreign":
        this.startOver(conversation);
        void this.refresh();
    }
    this.changed(conversation);
  }

  // ——— logs ———

  private room(conversation: string): Room {
    let room = this.rooms.get(conversation);
    if (!room) {
      room = { ready: false, stretch: emptyStretch, paging: false, loading: false, pulling: false, shown: 0, typing: new Map() };
      this.rooms.set(conversation, room);
      this.changed(conversation);
    }
    return room;
  }

  private async load(conversation: string): Promise<void> {
    const room = this.room(conversation);
    if (room.loading) return;
    room.loading = true;
    room.error = undefined;
    this.changed(conversation);
    try {
      const { events } = await fetchEvents(conversation, 0, pageSize);
      room.stretch = { events };
      room.ready = true;
      for (const e of events) if (e.sender === this.me.id) this.outbox.forget(e.client_id);
    } catch (err) {
      room.error = codeOf(err);
    } finally {
      room.loading = false;
      this.changed(conversation);
    }
    if (room.ready) {
      if (this.attended === conversation) this.attend(conversation);
      this.catchUp(conversation, room);
    }
  }

  private catchUp(conversation: string, room: Room): void {
    if (!room.ready) {
      // What could not be loaded while the server was away.
      if (room.shown > 0 && room.error !== undefined && room.error !== "not_found") void this.load(conversation);
    } else if (lastSeq(room.stretch) < (this.heads.get(conversation)?.seq ?? 0)) {
      void this.pull(conversation, room);
    }
  }

  private async pull(conversation: string, room: Room): Promise<void> {
    if (room.pulling) return;
    room.pulling = true;
    try {
      // An answer's head counts what was pushed before it, so an empty page may
      // mean that there is more now. Twice nothing waits for the next push.
      for (let idle = 0; idle < 2; ) {
        const after = lastSeq(room.stretch);
        const page = await this.socket.ask({ type: "pull", conversation, after, limit: 200 });
        this.takeInto(conversation, room, page.events);
        for (const e of page.events) {
          this.raise(e);
          this.takeIntoList(e);
        }
        if (!room.ready || lastSeq(room.stretch) >= page.head) break;
        idle = lastSeq(room.stretch) === after ? idle + 1 : 0;
      }
    } catch (err) {
      if (err instanceof Refused && err.code === "not_found") this.leave(conversation);
      // Lost: the next welcome finds the gap again.
    } finally {
      room.pulling = false;
    }
  }

  private tidy(): void {
    const idle = [...this.rooms].filter(([, room]) => room.shown === 0);
    idle.forEach(([id, room], i) => {
      if (i < idle.length - keptRooms) {
        this.rooms.delete(id);
        this.views.delete(id);
      } else {
        room.stretch = newest(room.stretch, keptEvents);
        this.views.delete(id);
      }
    });
  }

  // ——— reading ———

  private read(last: LogEvent): void {
    const known = this.list()?.find((c) => c.id === last.conversation)?.read_seq ?? 0;
    if (last.seq <= Math.max(known, this.marks.get(last.conversation)?.seq ?? 0)) return;
    this.mark(last.conversation, { seq: last.seq, count: last.count });
    this.unsaidReads.set(last.conversation, last.seq);
    this.sayRead(last.conversation, last.seq);
  }

  private sayRead(conversation: string, seq: number): void {
    this.socket.ask({ type: "read", conversation, seq }).then(
      () => {
        if (this.unsaidReads.get(conversation) === seq) this.unsaidReads.delete(conversation);
      },
      (err: unknown) => {
        if (err instanceof Refused && err.code !== "locked") this.unsaidReads.delete(conversation);
      },
    );
  }

  private look(conversation: string): void {
    this.looking = conversation;
    this.typedAt = 0;
    this.socket.tell({ type: "look", conversation });
  }

  private showTyping(conversation: string, person: string, name: string): void {
    const room = this.rooms.get(conversation);
    if (!room) return;
    clearTimeout(room.typing.get(person)?.until);
    room.typing.set(person, { name, until: setTimeout(() => this.hideTyping(conversation, person), typingShown) });
    this.changed(conversation);
  }

  private hideTyping(conversation: string, person: string): void {
    const room = this.rooms.get(conversation);
    clearTimeout(room?.typing.get(person)?.until);
    if (room?.typing.delete(person)) this.changed(conversation);
  }

  // ——— sending ———

  /** Sends what waits in a conversation, one message after the other. */
  private async flush(conversation: string, attempt = 0): Promise<void> {
    if (this.sending.has(conversation) || !this.socket.online || useLock.getState().lock === "locked") return;
    clearTimeout(this.sendTimers.get(conversation));
    this.sending.add(conversation);
    let again: number | undefined;
    try {
      for (let out = this.outbox.next(conversation); out && !this.stopped; out = this.outbox.next(conversation)) {
        again = await this.sendOne(out, attempt);
        if (again !== undefined) break;
        attempt = 0;
      }
    } finally {
      this.sending.delete(conversation);
    }
    if (again !== undefined && !this.stopped) {
      this.sendTimers.set(conversation, setTimeout(() => void this.flush(conversation, attempt + 1), again));
    }
  }

  /** Sends one; returns after how long to try again, or nothing when that is settled. */
  private async sendOne(out: Outgoing, attempt: number): Promise<number | undefined> {
    try {
      const ack = await this.socket.ask({ type: "send", conversation: out.conversation, client_id: out.clientId, body: { text: out.text } });
      this.outbox.confirm(out.clientId);
      const { conversation, seq, event_id, count, at } = ack;
      this.take({
        type: "event", kind: "message", conversation, seq, event_id, count, at,
        sender: this.me.id, sender_name: this.me.name, client_id: out.clientId, body: { text: out.text },
      });
      return undefined;
    } catch (err) {
      if (!(err instanceof Refused)) return longestRetry; // lost: the next welcome sends it again, sooner
      switch (err.code) {
        case "rate_limited":
          return err.retryAfterMs;
        case "locked":
          askWhoIsSignedIn(); // so the page learns it; opened again, it goes on
          return Math.min(longestRetry, 500 * 2 ** attempt);
        case "unavailable":
        case "internal":
          return Math.min(longestRetry, 500 * 2 ** attempt);
        default:
          this.outbox.fail(out.clientId, err.code);
          this.changed(out.conversation);
          return undefined;
      }
    }
  }

  private changed(conversation?: string): void {
    if (conversation === undefined) this.views.clear();
    else this.views.delete(conversation);
    for (const fn of [...this.listeners]) fn();
  }
}
