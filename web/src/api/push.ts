/**
 * What the server pushes to the signed-in person beside conversations: durable
 * events of the person's log, and hints that something has changed. The socket
 * says it here, once; whoever cares listens.
 */
export interface Pushed {
  /** "domain.what": meeting.invited, mail.changed */
  kind: string;
  body: unknown;
  /** Of a durable event; a hint has none. */
  id?: string;
  at?: string;
  /** It happened while the page was open, not before. */
  live: boolean;
}

const listeners = new Set<(p: Pushed) => void>();

/** Calls fn for each push; returns the way to stop. */
export function onPushed(fn: (p: Pushed) => void): () => void {
  listeners.add(fn);
  return () => void listeners.delete(fn);
}

/** Called by the socket alone. */
export function pushed(p: Pushed): void {
  for (const fn of [...listeners]) fn(p);
}
