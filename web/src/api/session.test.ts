import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { api } from "./client";
import { sessionQuery } from "./session";
import { activePosition, onPositionRefused, setActivePosition } from "./session-state";

const positions = [
  { id: "own", title: "Chuyên viên" },
  { id: "lent", title: "Vụ trưởng", delegated_by: "Trần Thanh Bình", delegated_scopes: ["mail"] },
];

/** A server that lends "lent" as long as lends is true, and for mail alone. */
let lends = true;
let asked: string[] = [];

beforeEach(() => {
  lends = true;
  asked = [];
  vi.stubGlobal("fetch", (request: Request) => {
    const position = request.headers.get("Commsd-Position") ?? "";
    const path = new URL(request.url).pathname;
    asked.push(`${position} ${path}`);
    const refused = (position === "lent" && (!lends || path.includes("/chat/"))) || position === "gone";
    const body = refused ? { status: 403, code: "forbidden", title: "", detail: "" } : { positions, grants: [], person: {}, expires_at: "" };
    return Promise.resolve(new Response(JSON.stringify(body), { status: refused ? 403 : 200, headers: { "Content-Type": "application/json" } }));
  });
});

afterEach(() => {
  setActivePosition("");
  onPositionRefused(() => {});
  vi.unstubAllGlobals();
});

const session = () => new QueryClient({ defaultOptions: { queries: { retry: false } } }).fetchQuery({ ...sessionQuery, staleTime: 0 });

test("a position that is lent acts until it ends; then the main one does", async () => {
  setActivePosition("lent");
  expect((await session())?.positions).toHaveLength(2);
  expect(activePosition()).toBe("lent");
  lends = false;
  expect((await session())?.positions).toHaveLength(2);
  expect(activePosition()).toBe("");
  expect(asked).toEqual(["lent /api/v1/sessions/current", "lent /api/v1/sessions/current", " /api/v1/sessions/current"]);
});

test("a refusal in a chosen position is doubted, in the main one it is not", async () => {
  let doubts = 0;
  onPositionRefused(() => doubts++);
  setActivePosition("lent");
  await expect(api.GET("/api/v1/chat/summary")).rejects.toMatchObject({ code: "forbidden" });
  expect(doubts).toBe(1);
  // What it is not lent for is refused, and the position stays.
  await session();
  expect(activePosition()).toBe("lent");
});
