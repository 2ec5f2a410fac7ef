import type { ConversationEvent } from "../../api/conversations";

/** The version of the protocol that hello names; docs/protocols/chat.md describes it. */
export const protocol = 1;

/** How far one has got in a conversation. */
export interface Cursor {
  seq: number;
  event_id: string;
}

export interface Head extends Cursor {
  conversation: string;
  count: number;
}

/** An entry of the person's own log. */
export interface PersonEvent {
  type: "person_event";
  seq: number;
  event_id: string;
  kind: string;
  body: unknown;
  at: string;
}

export interface Welcome {
  type: "welcome";
  user_seq: number;
  user_event_id: string;
  user_reload?: boolean;
  heads: Head[];
  reload?: string[];
  gone?: string[];
  max_text: number;
}

export interface Ack extends Head {
  type: "ack";
  client_id: string;
  at: string;
}

export interface Refusal {
  type: "error";
  code: string;
  detail: string;
  retry_after_ms?: number;
}

export type LogEvent = ConversationEvent & { type: "event" };

/** What the server says of itself, not asked. */
export type Push =
  | LogEvent
  | PersonEvent
  | ({ type: "head" } & Head)
  | { type: "typing"; conversation: string; person: string; name: string }
  | { type: "hint"; kind: string; body: unknown }
  | { type: "lagging"; conversations: string[]; person?: boolean }
  | { type: "reload"; conversation?: string; person?: boolean }
  | { type: "reconnect_after"; after_ms: number };

/** What the server says to a command; id names which. */
export type Answer = { id: number } & (
  | Welcome
  | Ack
  | Refusal
  | { type: "events"; conversation: string; head: number; events: LogEvent[] }
  | { type: "person_events"; head: number; events: PersonEvent[] }
  | { type: "ok" }
  | { type: "pong" }
);

export type AnswerOf<T extends Answer["type"]> = Extract<Answer, { type: T }>;
export type ServerMessage = Push | Answer;

/** The commands, and the type of the answer that each gets beside an error. */
export interface Answers {
  hello: "welcome";
  send: "ack";
  pull: "events";
  pull_person: "person_events";
  read: "ok";
  ping: "pong";
}

export type Command =
  | { type: "hello"; protocol: number; user_seq: number; user_event_id: string; cursors: Record<string, Cursor> }
  | { type: "send"; conversation: string; client_id: string; body: { text: string } }
  | { type: "pull"; conversation: string; after: number; limit?: number }
  | { type: "pull_person"; after: number; limit?: number }
  | { type: "read"; conversation: string; seq: number }
  | { type: "ping" };

/** Commands that get no answer. */
export type Remark = { type: "typing"; conversation: string } | { type: "look"; conversation: string };

const known: ReadonlySet<string> = new Set<ServerMessage["type"]>([
  "welcome", "ack", "error", "events", "person_events", "ok", "pong",
  "event", "person_event", "head", "typing", "hint", "lagging", "reload", "reconnect_after",
]);

/** The messages of a frame, one JSON object a line; types of a newer server are passed over. */
export function decode(frame: string): ServerMessage[] {
  return frame
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ServerMessage)
    .filter((m) => known.has(m.type));
}

/** Why the server closed the socket, by its number. */
export type Ending = "session" | "fault" | "crowded" | "again";

export function endingOf(code: number): Ending {
  if (code === 4501) return "session";
  if (code === 4505) return "crowded";
  if (code === 1009) return "fault"; // hello would be as long again
  // 4404 and 4407 come of slowness, ours or the network's; the rest of 44xx
  // means that this page and the server do not understand each other.
  return code >= 4400 && code < 4500 && code !== 4404 && code !== 4407 ? "fault" : "again";
}

/** A canonical UUIDv7: the time first, so that what is sent later sorts later. */
export function newClientId(now: number = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let stamp = Math.max(now, lastStamp); // a clock set back does not turn messages round
  // The random bits of two ids within one millisecond do not sort; the stamp does.
  if (stamp === lastStamp) stamp++;
  lastStamp = stamp;
  for (let i = 5; i >= 0; i--) {
    bytes[i] = stamp % 256;
    stamp = Math.floor(stamp / 256);
  }
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

let lastStamp = 0;
