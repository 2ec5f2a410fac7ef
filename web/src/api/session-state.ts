/**
 * The part of the session that the fetch client needs: the tab's active
 * position, and what to do when the server says that nobody is signed in.
 */
const positionKey = "commsd.position";

let ended: () => void = () => {};

/** Registers what happens on a 401; app does, once. */
export function onSessionEnded(fn: () => void): void {
  ended = fn;
}

/** Called by the client, and by the socket when it is closed for the session's end. */
export function sessionEnded(): void {
  ended();
}

/** The tab's position; empty for the main one. */
export function activePosition(): string {
  return sessionStorage.getItem(positionKey) ?? "";
}

export function setActivePosition(id: string): void {
  if (id) sessionStorage.setItem(positionKey, id);
  else sessionStorage.removeItem(positionKey);
}
