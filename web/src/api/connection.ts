import { create } from "zustand";

/**
 * How the page's socket is; the header shows all but "online" and "idle". The
 * socket writes it, nobody else.
 */
export type ConnectionState =
  | "idle" // nobody signed in, or not started
  | "connecting" // first attempt
  | "online"
  | "reconnecting" // lost, trying again by itself
  | "offline" // the browser says there is no network
  | "outdated"; // page and server do not understand each other: only a reload helps

export const useConnection = create<{ state: ConnectionState }>()(() => ({ state: "idle" }));

export function setConnection(state: ConnectionState): void {
  if (useConnection.getState().state !== state) useConnection.setState({ state });
}

/**
 * Calls fn each time the socket comes up, the first time included; returns the
 * way to stop. Hints of what changed before are lost, so whoever lives by hints
 * asks anew then.
 */
export function onOnline(fn: () => void): () => void {
  return useConnection.subscribe(({ state }, before) => {
    if (state === "online" && before.state !== "online") fn();
  });
}
