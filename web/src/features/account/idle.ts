const signs = ["keydown", "pointerdown", "pointermove", "wheel"] as const;

/**
 * Asks whether the session is locked once nobody has touched this page for as
 * long as that takes, and again until it is: other tabs and a call keep it open.
 * Returns the way to stop.
 */
export function watchIdle(seconds: number, isLocked: () => Promise<boolean>): () => void {
  const after = seconds * 1000;
  const again = Math.min(15_000, Math.max(1000, after / 4));
  let timer: ReturnType<typeof setTimeout> | undefined;
  let due = 0; // by the clock of the wall: a machine that slept has been idle
  let stopped = false;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void check(), Math.max(250, due - Date.now()));
  };
  const check = async () => {
    if (Date.now() < due) return wait(); // somebody was here meanwhile
    const locked = await isLocked().catch(() => false);
    if (stopped || locked) return;
    due = Math.max(due, Date.now() + again);
    wait();
  };
  const touched = () => {
    due = Date.now() + after + 500; // the server's clock is not ours to the millisecond
  };
  const shown = () => document.visibilityState === "visible" && Date.now() >= due && void check();
  touched();
  wait();
  for (const sign of signs) window.addEventListener(sign, touched, { passive: true, capture: true });
  document.addEventListener("visibilitychange", shown);
  return () => {
    stopped = true;
    clearTimeout(timer);
    for (const sign of signs) window.removeEventListener(sign, touched, { capture: true });
    document.removeEventListener("visibilitychange", shown);
  };
}
