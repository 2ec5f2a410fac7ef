// The session's clock for being idle runs on the server. The page tells it of
// keys and pointer now and then, and says so too while a call is on: nobody types
// in a meeting, and it is not to be locked.

let busy = 0;

/** Keeps the session from being idle until the returned function is called: a call that is on. */
export function stayAwake(): () => void {
  busy++;
  let done = false;
  return () => {
    if (!done) busy--;
    done = true;
  };
}

export function isAwake(): boolean {
  return busy > 0;
}

const signs = ["keydown", "pointerdown", "pointermove", "wheel"] as const;

/**
 * Watches keys and pointer and reports them at most once a minute, more often
 * only where sessions are locked after few minutes. Returns the way to stop.
 */
export function reportActivity(idleSeconds: number, report: () => Promise<unknown>): () => void {
  const every = Math.min(60_000, idleSeconds * 200);
  const now = Date.now;
  let reported = 0;
  let due: ReturnType<typeof setTimeout> | undefined;
  const send = () => {
    due = undefined;
    reported = now();
    report().catch(() => {}); // the next one tells it
  };
  const seen = () => {
    if (due !== undefined) return;
    const wait = reported + every - now();
    if (wait <= 0) send();
    else due = setTimeout(send, wait); // what one did last counts, too, not only what came after a minute
  };
  for (const sign of signs) window.addEventListener(sign, seen, { passive: true, capture: true });
  const beat = setInterval(() => isAwake() && seen(), every);
  return () => {
    clearTimeout(due);
    clearInterval(beat);
    for (const sign of signs) window.removeEventListener(sign, seen, { capture: true });
  };
}
