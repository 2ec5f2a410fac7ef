import { create } from "zustand";
import { ApiError } from "./error";

/**
 * Requests that the server answers with 423 wait here until the session's owner
 * has proved who they are again, in this tab or in another, and are then sent
 * once more. What is asked for is shown by the account feature, over every page.
 */
export type Lock =
  | "open"
  | "asking" // a 423 came; which of the two it means is being asked
  | "locked" // the session was idle for too long: nothing is shown until it is opened
  | "confirm"; // a sensitive act wants a fresh proof; one may leave it

export const useLock = create<{ lock: Lock }>()(() => ({ lock: "open" }));

interface Waiter {
  resolve: () => void;
  reject: (err: unknown) => void;
}
let waiting: Waiter[] = [];

const tabs = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("commsd.lock");
tabs?.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
  if (data === "locked") show("locked");
  if (data === "open" && useLock.getState().lock !== "open") settle();
});

function show(lock: Lock): void {
  const now = useLock.getState().lock;
  if (now === lock || now === "locked") return;
  useLock.setState({ lock });
}

function settle(err?: unknown): void {
  useLock.setState({ lock: "open" });
  const all = waiting;
  waiting = [];
  for (const w of all) if (err) w.reject(err); else w.resolve();
}

/** The session is locked: known by the server's word, or by this page's clock. */
export function lockPage(): void {
  if (useLock.getState().lock === "locked") return;
  show("locked");
  tabs?.postMessage("locked");
}

/** The server has opened the session again: all tabs go on. */
export function openPage(): void {
  settle();
  tabs?.postMessage("open");
}

/** Nobody wants to prove anything: what waited fails, and says nothing more. */
export function declineProof(): void {
  if (useLock.getState().lock !== "locked") settle(new ApiError("locked", 423, "not proved again"));
}

/** The session is over: nothing waits for it any more. */
export function forgetLock(): void {
  settle(new ApiError("unauthenticated", 401, "the session has ended"));
}

/**
 * Waits until the owner has proved who they are. ask tells whether the session
 * itself is locked; that it cannot tell counts as not.
 */
export function untilOpen(ask: () => Promise<boolean>, signal?: AbortSignal): Promise<void> {
  if (useLock.getState().lock === "open") {
    show("asking");
    ask().then(
      (locked) => {
        if (useLock.getState().lock !== "asking") return; // another tab was quicker
        if (locked) lockPage();
        else show("confirm");
      },
      () => useLock.getState().lock === "asking" && show("confirm"),
    );
  }
  return new Promise<void>((resolve, reject) => {
    const waiter = { resolve, reject };
    waiting.push(waiter);
    signal?.addEventListener("abort", () => {
      waiting = waiting.filter((w) => w !== waiter);
      reject(signal.reason as Error);
    });
  });
}
