import { create } from "zustand";

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

let refused: () => void = () => {};

/** Registers what happens when a request in a chosen position is refused: the position may have ended. App does, once. */
export function onPositionRefused(fn: () => void): void {
  refused = fn;
}

/** Called by the client. */
export function positionRefused(): void {
  refused();
}

const usePosition = create<{ id: string }>()(() => ({ id: sessionStorage.getItem(positionKey) ?? "" }));

/** The tab's position; empty for the main one. */
export function activePosition(): string {
  return usePosition.getState().id;
}

/** The same for what is drawn: it follows the choice of another. */
export function useActivePosition(): string {
  return usePosition((s) => s.id);
}

export function setActivePosition(id: string): void {
  if (id) sessionStorage.setItem(positionKey, id);
  else sessionStorage.removeItem(positionKey);
  usePosition.setState({ id });
}
