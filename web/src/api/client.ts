import createClient, { type Middleware } from "openapi-fetch";
import { ApiError, errorOf } from "./error";
import { untilOpen } from "./lock";
import { activePosition, positionRefused, sessionEnded } from "./session-state";
import type { paths } from "./schema";

const signInPath = "/api/v1/sessions";
const passwordPath = "/api/v1/account/password";

/**
 * Sends one request, and once more each time that the session had to be opened
 * for it; throws ApiError for everything but a 2xx answer.
 */
async function send(make: () => Request): Promise<Response> {
  for (;;) {
    const request = make();
    const position = activePosition();
    if (position) request.headers.set("Commsd-Position", position);
    let response: Response;
    try {
      response = await fetch(request);
    } catch (err) {
      if (request.signal.aborted) throw err;
      throw new ApiError("offline", 0, "the server cannot be reached");
    }
    if (response.ok) return response;
    const error = await errorOf(response);
    const { pathname } = new URL(request.url);
    const signingIn = pathname.startsWith(signInPath);
    if (error.code === "locked" && !signingIn) {
      await untilUnlocked(request.signal);
      continue;
    }
    // Where a password is sent along, a 401 may be its fault; the page asks which.
    if (error.status === 401 && !signingIn && pathname !== passwordPath) sessionEnded();
    if (error.status === 403 && position && !signingIn) positionRefused();
    throw error;
  }
}

/** Waits until the session is open again; for requests that do not go through here, after a 423. */
export function untilUnlocked(signal?: AbortSignal): Promise<void> {
  return untilOpen(async () => {
    const answer = await fetch(new Request(new URL(`${signInPath}/current`, location.origin)));
    if (answer.status === 401) sessionEnded();
    return answer.ok && ((await answer.json()) as { locked?: boolean }).locked === true;
  }, signal);
}

/**
 * The typed client: `const people = await data(api.GET("/api/v1/directory/people", { params: { query: { q } } }))`.
 * It throws ApiError, so `error` of an answer is never set.
 */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: (request) => send(() => request.clone()) });

/** For tests and uploads that watch every request. */
export type { Middleware };

/** The body of an answer that has one. */
export async function data<T>(call: Promise<{ data?: T }>): Promise<NonNullable<T>> {
  const answer = await call;
  if (answer.data === undefined || answer.data === null) throw new ApiError("internal", 0, "the answer has no body");
  return answer.data;
}

/**
 * Requests that the API document does not describe: uploads, downloads. Same
 * errors, same position.
 */
export async function raw(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, init: RequestInit = {}): Promise<Response> {
  return send(() => new Request(new URL(path, location.origin), { ...init, method }));
}
