import type { ConnectionState } from "../../api/connection";
import { decode, endingOf, type Answer, type AnswerOf, type Answers, type Command, type Push, type Refusal, type Remark, type Welcome } from "./wire";

/** The connection went, or was not there; what was asked is not known. */
export class Lost extends Error {
  override readonly name = "Lost";
}

/** The server's "error": asking again as it is does not help, unless retryAfter or code say so. */
export class Refused extends Error {
  override readonly name = "Refused";
  constructor(readonly code: string, readonly retryAfterMs: number) {
    super(code);
  }
}

export interface SocketOptions {
  url: string;
  /** Called at each connection for what it resumes from. */
  hello(): Extract<Command, { type: "hello" }>;
  onWelcome(welcome: Welcome): void;
  onPush(push: Push): void;
  onState(state: ConnectionState): void;
  /** The session is over: there is no coming back without signing in. */
  onSessionEnded(): void;
  /** The server did not take the connection; over HTTP it can say why. */
  onRefused(): void;
  random?: () => number;
}

const welcomeWithin = 15_000;
const silenceAllowed = 25_000;
const pongWithin = 10_000;
const firstPause = 500;
const longestPause = 30_000;
/** A connection that lasted this long was a good one. */
const goodAfter = 10_000;
/** So long a gap is nobody's business: nothing blinks. */
const graceBeforeBanner = 1_000;

/** Full jitter: anything between nothing and a bound that doubles. */
export function pauseBefore(attempt: number, random: () => number): number {
  return random() * Math.min(longestPause, firstPause * 2 ** Math.min(attempt, 10));
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(err: Error): void;
}

/**
 * One WebSocket that is always there: it says hello, comes back by itself with
 * growing pauses or when the server says, and notices a connection that has
 * died without a word. What is said over it is the business of Chat.
 */
export class ChatSocket {
  private readonly random: () => number;
  private ws: WebSocket | null = null;
  private welcomed = false;
  /** The browser says there is no network; the server has not said otherwise yet. */
  private doubted = false;
  private running = false;
  private nextId = 1;
  private readonly asked = new Map<number, Waiting>();
  private attempt = 0;
  private attemptAt = 0;
  private welcomedAt = 0;
  private heardAt = 0;
  /** The server's word when to come back, and not before. */
  private hint: number | null = null;
  private notBefore = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setTimeout> | undefined;
  private banner: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: SocketOptions) {
    this.random = options.random ?? Math.random;
  }

  get online(): boolean {
    return this.welcomed;
  }

  start(): void {
    if (this.running) return;
    this.running = true;
    window.addEventListener("online", this.onNetwork);
    window.addEventListener("offline", this.onNetwork);
    document.addEventListener("visibilitychange", this.onVisible);
    this.options.onState("connecting");
    this.connect();
  }

  stop(): void {
    this.halt("idle");
  }

  /** Asks and waits for the answer of the same connection. Rejects with Lost or Refused. */
  ask<C extends Command>(command: C): Promise<AnswerOf<Answers[C["type"]]>> {
    return new Promise((resolve, reject) => {
      if (!this.ws || (!this.welcomed && command.type !== "hello")) {
        reject(new Lost());
        return;
      }
      const id = this.nextId++;
      this.asked.set(id, { resolve: resolve as (answer: Answer) => void, reject });
      this.ws.send(JSON.stringify({ ...command, id }));
    });
  }

  /** Says what needs no answer; when there is no connection, nobody hears it. */
  tell(remark: Remark): void {
    if (this.welcomed) this.ws?.send(JSON.stringify(remark));
  }

  /** Somebody waits: come back now rather than when the pause is over, if the server has not asked for one. */
  hurry(): void {
    if (!this.running || this.ws) return;
    this.reconnectIn(Math.max(0, this.attemptAt + firstPause - Date.now(), this.notBefore - Date.now()));
  }

  private halt(state: ConnectionState): void {
    this.running = false;
    window.removeEventListener("online", this.onNetwork);
    window.removeEventListener("offline", this.onNetwork);
    document.removeEventListener("visibilitychange", this.onVisible);
    clearTimeout(this.retry);
    clearTimeout(this.banner);
    const ws = this.drop();
    ws?.close(1000);
    this.options.onState(state);
  }

  private connect(): void {
    this.hint = null;
    this.attemptAt = this.heardAt = Date.now();
    let ws: WebSocket;
    try {
      ws = new WebSocket(this.options.url);
    } catch {
      this.lost(true); // the browser forbids it just now
      return;
    }
    this.ws = ws;
    let opened = false;
    ws.onopen = () => {
      opened = true;
      this.ask(this.options.hello()).then(
        (welcome) => this.onWelcome(welcome),
        (err: unknown) => {
          if (err instanceof Refused && this.ws === ws) this.abandon();
        },
      );
    };
    ws.onmessage = (e: MessageEvent<unknown>) => {
      this.heardAt = Date.now();
      this.trust();
      if (typeof e.data === "string") for (const m of decode(e.data)) this.take(m);
    };
    ws.onclose = (e) => {
      if (this.ws !== ws) return;
      this.drop();
      switch (endingOf(e.code)) {
        case "session":
          this.halt("idle");
          this.options.onSessionEnded();
          break;
        case "fault":
          this.halt("outdated");
          break;
        case "crowded":
          // Pages that nobody looks at would take turns at closing each other.
          if (document.visibilityState === "visible") this.lost(false);
          else this.showAway();
          break;
        case "again":
          this.lost(!opened);
      }
    };
    this.watchIn(welcomeWithin, () => this.abandon());
  }

  private onWelcome(welcome: Welcome): void {
    this.welcomed = true;
    this.welcomedAt = Date.now();
    clearTimeout(this.banner);
    this.banner = undefined;
    this.options.onState("online");
    this.listen();
    this.options.onWelcome(welcome);
  }

  private take(m: Push | Answer): void {
    if (!("id" in m)) {
      if (m.type === "reconnect_after") this.hint = m.after_ms;
      this.options.onPush(m);
      return;
    }
    const waiting = this.asked.get(m.id);
    this.asked.delete(m.id);
    if (m.type === "error") waiting?.reject(refusedBy(m));
    else waiting?.resolve(m);
  }

  /** Asks for a sign of life when the server has been silent for long. */
  private listen(silence = silenceAllowed): void {
    const wait = this.heardAt + silence - Date.now();
    if (wait > 0) this.watchIn(wait, () => this.listen());
    else this.probe(pongWithin);
  }

  private probe(within: number): void {
    this.ask({ type: "ping" }).then(() => this.listen(), () => {});
    this.watchIn(within, () => this.abandon());
  }

  private watchIn(ms: number, fn: () => void): void {
    clearTimeout(this.watch);
    this.watch = setTimeout(fn, ms);
  }

  /** The server was heard, whatever the browser says. */
  private trust(): void {
    if (!this.doubted) return;
    this.doubted = false;
    this.options.onState("online");
  }

  /** Gives up a connection that does not answer; its close may take minutes. */
  private abandon(): void {
    const ws = this.drop();
    ws?.close();
    this.lost(false);
  }

  /** Forgets the connection and fails what it was asked. */
  private drop(): WebSocket | null {
    const ws = this.ws;
    this.ws = null;
    if (this.welcomed && Date.now() - this.welcomedAt >= goodAfter) this.attempt = 0;
    this.welcomed = this.doubted = false;
    clearTimeout(this.watch);
    const asked = [...this.asked.values()];
    this.asked.clear();
    for (const waiting of asked) waiting.reject(new Lost());
    return ws;
  }

  private lost(refused: boolean): void {
    if (!this.running) return;
    if (refused) this.options.onRefused();
    if (!this.running) return; // onRefused may have ended it
    this.banner ??= setTimeout(() => this.showAway(), graceBeforeBanner);
    if (this.hint !== null) this.notBefore = Date.now() + this.hint;
    this.reconnectIn(this.hint ?? pauseBefore(this.attempt++, this.random));
  }

  private showAway(): void {
    if (this.running && !this.welcomed) this.options.onState(navigator.onLine ? "reconnecting" : "offline");
  }

  private reconnectIn(ms: number): void {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), ms);
  }

  private readonly onNetwork = (): void => {
    if (this.welcomed) {
      // Said at once, since what is written now waits. But "offline" of the browser says little
      // on a network of one's own: the server may still be reached, so the socket is asked.
      if (!navigator.onLine) {
        this.doubted = true;
        this.options.onState("offline");
      }
      this.probe(pongWithin / 2);
    }
    else {
      if (this.banner !== undefined) this.showAway();
      if (navigator.onLine) this.hurry();
    }
  };

  private readonly onVisible = (): void => {
    if (document.visibilityState !== "visible") return;
    // A machine that slept has a socket that looks alive.
    if (this.welcomed && Date.now() - this.heardAt > silenceAllowed) this.probe(pongWithin / 2);
    else this.hurry();
  };
}

function refusedBy(m: Refusal): Refused {
  return new Refused(m.code, m.retry_after_ms ?? 0);
}
