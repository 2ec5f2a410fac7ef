import createClient, { type Middleware } from "openapi-fetch";
import { ApiError, errorOf } from "./error";
import { activePosition, positionRefused, sessionEnded } from "./session-state";
import type { paths } from "./schema";

const signInPath = "/api/v1/sessions";

/** Sends one request; throws ApiError for everything but a 2xx answer. */
async function send(request: Request): Promise<Response> {
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
  if (error.status === 401 && !new URL(request.url).pathname.startsWith(signInPath)) sessionEnded();
  if (error.status === 403 && position && !new URL(request.url).pathname.startsWith(signInPath)) positionRefused();
  throw error;
}

/**
 * The typed client: `const people = await data(api.GET("/api/v1/directory/people", { params: { query: { q } } }))`.
 * It throws ApiError, so `error` of an answer is never set.
 */
export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

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
  return send(new Request(new URL(path, location.origin), { ...init, method }));
}
