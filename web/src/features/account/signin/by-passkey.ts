import type { Entered } from "../../../api/sign-in";
import { passkeyOptions, signInByPasskey } from "../../../api/sign-in-steps";
import { provePasskey, suggestsPasskeys } from "../../../lib/webauthn";

let suggesting: AbortController | undefined;

/** Signs in with a passkey alone: it is both who one is and the second factor. */
export async function byPasskey(): Promise<Entered> {
  suggesting?.abort(); // the browser asks one thing at a time
  const { ticket, options } = await passkeyOptions();
  return signInByPasskey(ticket, await provePasskey(options));
}

/** Offers passkeys among the suggestions of the login's field; silent when none is chosen, or anything fails. */
export async function suggestPasskeys(signal: AbortSignal, onEntered: (answer: Entered) => void): Promise<void> {
  if (!(await suggestsPasskeys()) || signal.aborted) return;
  const mine = new AbortController();
  suggesting = mine;
  signal.addEventListener("abort", () => mine.abort());
  try {
    const { ticket, options } = await passkeyOptions();
    if (mine.signal.aborted) return;
    const answer = await signInByPasskey(ticket, await provePasskey(options, { suggest: true, signal: mine.signal }));
    if (!signal.aborted) onEntered(answer);
  } catch {
    // nobody asked for it by a button, so nobody is told
  }
}
