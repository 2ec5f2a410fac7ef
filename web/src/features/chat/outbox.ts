import { Kept } from "../../lib/kept";
import { newClientId } from "./wire";

/** A message that the server has not confirmed. */
export interface Outgoing {
  clientId: string;
  conversation: string;
  text: string;
  at: number;
  /** The server's word why it does not take the message; absent: it is on its way, or waits for a connection. */
  failure?: string;
  /** Confirmed; shown until the log has it. */
  sent?: boolean;
}

/**
 * What has been sent and is not confirmed, in the order it was written. It
 * outlives reloads and expired sessions; the client id makes the server take
 * each message once, however often it is sent.
 */
export class Outbox {
  private readonly kept: Kept<Outgoing>;
  private readonly confirmed = new Map<string, Outgoing>();

  constructor(person: string) {
    this.kept = new Kept<Outgoing>(person, "chat.out");
  }

  onOtherTab(fn: () => void): () => void {
    return this.kept.onOtherTab(fn);
  }

  /** All of a conversation, oldest first: UUIDv7 sort by time. */
  of(conversation: string): Outgoing[] {
    return [...this.kept.all().values(), ...this.confirmed.values()]
      .filter((o) => o.conversation === conversation)
      .sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
  }

  conversations(): Set<string> {
    return new Set([...this.kept.all().values()].map((o) => o.conversation));
  }

  /** The first that may be sent. */
  next(conversation: string): Outgoing | undefined {
    return this.of(conversation).find((o) => !o.failure && !o.sent);
  }

  get(clientId: string): Outgoing | undefined {
    return this.kept.all().get(clientId) ?? this.confirmed.get(clientId);
  }

  add(conversation: string, text: string, now: number): Outgoing {
    const out: Outgoing = { clientId: newClientId(now), conversation, text, at: now };
    this.kept.set(out.clientId, out);
    return out;
  }

  fail(clientId: string, failure: string): void {
    const out = this.kept.all().get(clientId);
    if (out) this.kept.set(clientId, { ...out, failure });
  }

  /** Back in the queue. */
  retry(clientId: string): void {
    const out = this.kept.all().get(clientId);
    if (out) this.kept.set(clientId, { ...out, failure: undefined });
  }

  /** Safe with the server: no longer kept, shown until forgotten. */
  confirm(clientId: string): void {
    const out = this.kept.all().get(clientId);
    if (!out) return;
    this.kept.delete(clientId);
    this.confirmed.set(clientId, { ...out, sent: true });
  }

  forget(clientId: string): void {
    this.confirmed.delete(clientId);
    if (this.kept.all().has(clientId)) this.kept.delete(clientId);
  }
}
