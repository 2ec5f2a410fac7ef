import { pushed } from "../../api/push";
import type { Mark } from "./list";
import type { PersonEvent, Welcome } from "./wire";

export interface PersonLogOptions {
  pull(after: number): Promise<{ head: number; events: PersonEvent[] }>;
  onRead(conversation: string, mark: Mark): void;
  onJoined(conversation: string, e: PersonEvent): void;
  onLeft(conversation: string): void;
}

/** So many of the log's last entries are read by a page that opens. */
const atFirst = 100;

/**
 * The person's own log: read marks and memberships, which chat itself uses, and
 * other domains' news, which go to whoever listens (api/push.ts). A page that
 * opens reads the log's end; later it resumes from where it was.
 */
export class PersonLog {
  private seq = 0;
  private eventId = "";
  private started = false;
  private pulling = false;
  /** Entries up to here happened before the page opened. */
  private old = 0;

  constructor(private readonly options: PersonLogOptions) {}

  cursor(): { user_seq: number; user_event_id: string } {
    return { user_seq: this.seq, user_event_id: this.eventId };
  }

  onWelcome(w: Welcome): void {
    if (!this.started || w.user_reload) {
      this.started = true;
      this.old = w.user_seq;
      this.seq = Math.max(0, w.user_seq - atFirst);
      this.eventId = "";
    }
    if (w.user_seq > this.seq) this.catchUp();
  }

  startOver(): void {
    this.started = false;
    this.seq = 0;
    this.eventId = "";
    // Its head is not known: all of it is asked for, and none of it is news.
    this.old = Number.MAX_SAFE_INTEGER;
    this.started = true;
    this.catchUp();
  }

  take(e: PersonEvent): void {
    if (e.seq <= this.seq) return;
    if (e.seq > this.seq + 1) {
      this.catchUp();
      return;
    }
    this.seq = e.seq;
    this.eventId = e.event_id;
    this.tell(e);
  }

  hint(kind: string, body: unknown): void {
    pushed({ kind, body, live: true });
  }

  catchUp(): void {
    if (this.pulling) return;
    this.pulling = true;
    void this.pullAll().finally(() => (this.pulling = false));
  }

  private async pullAll(): Promise<void> {
    // As with a conversation's log: after an empty page there may be more, and
    // twice nothing waits for the next push.
    for (let idle = 0; idle < 2; ) {
      const after = this.seq;
      let page;
      try {
        page = await this.options.pull(after);
      } catch {
        return; // the next welcome asks again
      }
      for (const e of page.events) this.take(e);
      if (this.seq >= page.head) break;
      idle = this.seq === after ? idle + 1 : 0;
    }
    if (this.old === Number.MAX_SAFE_INTEGER) this.old = this.seq;
  }

  private tell(e: PersonEvent): void {
    switch (e.kind) {
      case "read": {
        const body = e.body as { conversation: string; seq: number; count: number };
        this.options.onRead(body.conversation, { seq: body.seq, count: body.count });
        break;
      }
      case "conversation.joined":
        if (e.seq > this.old) this.options.onJoined((e.body as { conversation: string }).conversation, e);
        break;
      case "conversation.left":
        if (e.seq > this.old) this.options.onLeft((e.body as { conversation: string }).conversation);
        break;
      default:
        pushed({ kind: e.kind, body: e.body, id: e.event_id, at: e.at, live: e.seq > this.old });
    }
  }
}
