import { ApiError, codeOf, type ErrorCode } from "../../api/error";

/** How safe what is being written is. */
export type Safety =
  | { state: "clean" } // nothing typed since it was opened
  | { state: "waiting" | "saving" }
  | { state: "saved"; at: number }
  | { state: "failed"; code: ErrorCode };

export interface KeeperOptions<T> {
  /** Keeps a copy in this tab at once; undefined forgets it. */
  keepHere: (value: T | undefined) => void;
  /** Sends it to the server. */
  save: (value: T) => Promise<void>;
  onChange: (safety: Safety) => void;
  /** Milliseconds of rest before a save, and the longest that typing puts it off. */
  rest?: number;
  longest?: number;
  /** Milliseconds between attempts after a failure. */
  again?: number;
}

/**
 * Keeps what somebody writes: in the tab with every change, at the server soon
 * after. Saves run one after the other, so that an older one never overtakes a
 * newer; what failed is tried again by itself. It has no React in it: a page
 * makes one, and calls stop when it goes.
 */
export class Keeper<T> {
  private value: T | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private firstWait = 0;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(private readonly options: KeeperOptions<T>) {}

  /** Takes the newest value. */
  change(value: T): void {
    this.value = value;
    this.options.keepHere(value);
    if (this.stopped) return;
    this.options.onChange({ state: "waiting" });
    const now = Date.now();
    this.firstWait ||= now;
    const rest = this.options.rest ?? 1500;
    const longest = this.options.longest ?? 10_000;
    this.later(Math.max(0, Math.min(rest, this.firstWait + longest - now)));
  }

  /** Saves what is not saved yet; throws when the server has it not. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    while (this.running) await this.running.catch(() => {});
    clearTimeout(this.timer); // a failure asked for another attempt
    if (this.value !== undefined) await this.run();
  }

  /** Nothing is saved any more; a save under way is waited for. What is typed stays in the tab. */
  async pause(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running?.catch(() => {});
  }

  /** Goes on after pause. */
  resume(): void {
    this.stopped = false;
    if (this.value !== undefined) this.later(0);
  }

  /** The page goes: one last save, whose outcome nobody waits for. */
  stop(): void {
    if (!this.stopped && this.value !== undefined) this.flush().catch(() => {}); // the tab keeps it
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private later(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.running) this.later(50);
      else this.run().catch(() => {}); // told by onChange
    }, ms);
  }

  private run(): Promise<void> {
    const value = this.value as T;
    this.firstWait = 0;
    this.options.onChange({ state: "saving" });
    this.running = this.options.save(value).then(
      () => {
        this.running = undefined;
        if (this.value !== value) return; // typed on meanwhile
        this.value = undefined;
        this.options.keepHere(undefined);
        this.options.onChange({ state: "saved", at: Date.now() });
      },
      (err: unknown) => {
        this.running = undefined;
        this.options.onChange({ state: "failed", code: codeOf(err) });
        // What the server refuses for what it is, it refuses again.
        const passing = !(err instanceof ApiError) || ["offline", "unavailable", "rate_limited", "internal"].includes(err.code);
        if (passing && !this.stopped) this.later(this.options.again ?? 10_000);
        throw err;
      },
    );
    return this.running;
  }
}
