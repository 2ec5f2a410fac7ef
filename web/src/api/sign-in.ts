import { api, data } from "./client";
import type { components } from "./schema";
import type { Session } from "./session";

/** What may be asked for next; any one of those offered does. */
export type NextStep = "totp" | "passkey" | "recovery_code" | "change_password" | "enroll";

/** A sign-in that is under way: the ticket stands for what has been proved so far. */
export type Pending = components["schemas"]["DirectoryTicket"];

export type Entered = { session: Session } | { pending: Pending };

/** Tells a session from a ticket. */
export async function entered(call: Promise<{ data?: Session | Pending }>): Promise<Entered> {
  const answer = await data(call);
  return "ticket" in answer ? { pending: answer } : { session: answer };
}

/** Begins with the password. */
export const signIn = (login: string, password: string) => entered(api.POST("/api/v1/sessions", { body: { login, password } }));
