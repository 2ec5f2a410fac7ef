import { api, data } from "./client";
import { entered } from "./sign-in";

/** One proof of a step; one of them is set. */
export interface Proof {
  totp?: string;
  recovery_code?: string;
  passkey?: unknown;
  /** What a passkey is called that is made in this sign-in. */
  passkey_name?: string;
  new_password?: string;
}

/** With the code that an administrator handed out, instead of a password. */
export const signInByCode = (login: string, code: string) => entered(api.POST("/api/v1/sessions/code", { body: { login, code } }));
export const signInNext = (ticket: string, proof: Proof) => entered(api.POST("/api/v1/sessions/next", { body: { ticket, ...proof } }));

export const signInByPasskey = (ticket: string, credential: unknown) => entered(api.POST("/api/v1/sessions/passkey", { body: { ticket, credential } }));

/** What the browser asks its passkeys with, whoever's they are. */
export const passkeyOptions = () => data(api.POST("/api/v1/sessions/passkey/options"));

/** What the browser shows or, where a sign-in asks for enroll, makes a passkey with; the answer goes to signInNext. */
export const nextPasskeyOptions = (ticket: string) => data(api.POST("/api/v1/sessions/next/passkey", { body: { ticket } }));

/** An authenticator app to set up in a sign-in that asks for enroll; its first code goes to signInNext. */
export const nextTotp = (ticket: string) => data(api.POST("/api/v1/sessions/next/totp", { body: { ticket } }));

/** Outside providers that a login may sign in by; its mail domain alone decides. */
export const providersOf = async (login: string) => (await data(api.POST("/api/v1/sessions/providers", { body: { login } }))).providers;
