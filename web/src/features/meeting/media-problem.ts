/** Why a camera, a microphone or a screen gives nothing. Each has its words. */
export type MediaProblem =
  | "denied" // the person, the browser or the system says no
  | "busy" // another program holds it
  | "absent" // there is none, or not the chosen one
  | "unplugged" // there was one until just now
  | "insecure" // the page is not served in a way that browsers trust with devices
  | "failed"; // anything else

/** Tells the problem from what getUserMedia or getDisplayMedia threw. */
export function problemOf(err: unknown): MediaProblem {
  // By name alone: an OverconstrainedError is no Error in every browser.
  const name: unknown = typeof err === "object" && err !== null ? Reflect.get(err, "name") : "";
  switch (name) {
    case "NotAllowedError":
    case "PermissionDeniedError":
    case "SecurityError":
      return "denied";
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return "busy";
    case "NotFoundError":
    case "DevicesNotFoundError":
    case "OverconstrainedError":
      return "absent";
    default:
      return "failed";
  }
}

/** Browsers hide devices from pages on plain http of another machine. */
export function devicesTrusted(): boolean {
  return window.isSecureContext && !!navigator.mediaDevices?.getUserMedia;
}
