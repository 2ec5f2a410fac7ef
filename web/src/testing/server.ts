import { vi } from "vitest";

type Answer = { status?: number; body?: unknown; headers?: Record<string, string> };
type Handler = Answer | ((request: Request) => Answer | Promise<Answer>);

/**
 * Answers the page's requests in unit tests: serve({ "GET /api/v1/meetings": { body: { meetings: [] } } }).
 * A request that nobody expected is a 404, and listed in the returned calls like all others.
 */
export function serve(handlers: Record<string, Handler>): { calls: { method: string; path: string; search: string; body: unknown }[] } {
  const calls: { method: string; path: string; search: string; body: unknown }[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const url = new URL(request.url);
    const text = await request.clone().text();
    calls.push({ method: request.method, path: url.pathname, search: url.search, body: text ? tryJson(text) : undefined });
    const handler = handlers[`${request.method} ${url.pathname}`] ?? { status: 404, body: { status: 404, code: "not_found", detail: "no handler in this test" } };
    const answer = typeof handler === "function" ? await handler(request) : handler;
    const status = answer.status ?? 200;
    return new Response(answer.body === undefined || status === 204 ? null : JSON.stringify(answer.body), {
      status,
      headers: { "Content-Type": status >= 400 ? "application/problem+json" : "application/json", ...answer.headers },
    });
  });
  return { calls };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
