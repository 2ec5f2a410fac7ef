import { Blob as FileBlob } from "node:buffer";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { i18n } from "../../lib/i18n";
import type { AuditEvent } from "./api";
import { everyDay } from "./components/Activity";
import { subtrees } from "./components/TreeState";
import { fetchExport } from "./export";
import { isAsked, query, questionOf } from "./question";
import { actionWords, actionsOf, detailWords, formatSecond, namesOf, objectWords, whoWords } from "./words";

const t = () => i18n.getFixedT("vi", "audit");
const event: AuditEvent = {
  id: "e1", at: "2026-11-25T01:30:05Z", agency_id: "", person_id: "p1", position_id: "", account_id: "a1", session_id: "", action: "account.sign_in", outcome: "ok",
  object_kind: "account", object_id: "a1", address: "192.0.2.7", detail: {},
} as unknown as AuditEvent;
const names = namesOf([
  { people: [{ id: "p1", name: "Nguyễn Văn An" }] as never, agencies: [{ id: "g1", name: "Bộ Nội vụ" }] as never },
  { people: [{ id: "p2", name: "Lê Thị Kim Chi" }] as never, agencies: [] },
]);

describe("the question in the address", () => {
  it("keeps what makes sense, and leaves out the rest", () => {
    expect(questionOf({ from: "2026-11-01", until: "gestern", outcome: "maybe", person: "p1", kind: "unit", event: "e1", agency: 7 })).toEqual({ from: "2026-11-01", person: "p1" });
    expect(questionOf({ kind: "unit", object: "u1", outcome: "denied" })).toEqual({ kind: "unit", object: "u1", outcome: "denied" });
    expect([isAsked({}), isAsked({ agency: "g1" })]).toEqual([false, true]);
  });
  it("asks for whole days in Viet Nam, the last one too, over the end of a year", () => {
    expect(query({ from: "2026-12-31", until: "2026-12-31" })).toEqual({ from: "2026-12-31T00:00:00+07:00", until: "2027-01-01T00:00:00+07:00" });
    expect(query({ kind: "unit", object: "u1", address: "192.0.2.7" })).toEqual({ object_kind: "unit", object_id: "u1", address: "192.0.2.7" });
  });
});

describe("words", () => {
  it("says a moment to the second, in Viet Nam", () => expect(formatSecond(event.at)).toBe("25/11/2026 08:30:05"));
  it("names who did it, as far as it is known", async () => {
    await i18n.loadNamespaces("audit");
    expect(whoWords(t(), event, names)).toBe("Nguyễn Văn An");
    expect(whoWords(t(), { ...event, person_id: "p9" }, names)).toBe("p9");
    expect(whoWords(t(), { ...event, person_id: "", detail: { login: "ai@noi-nao.example" } }, names)).toBe("ai@noi-nao.example");
    expect(whoWords(t(), { ...event, person_id: "" }, names)).toBe("Chưa rõ là ai");
    expect(whoWords(t(), { ...event, person_id: "", address: "" }, names)).toBe("Hệ thống");
  });
  it("names the object by its name where there is one, else by its id", async () => {
    await i18n.loadNamespaces("audit");
    expect(objectWords(t(), { ...event, object_kind: "person", object_id: "p2" }, names)).toBe("người Lê Thị Kim Chi");
    expect(objectWords(t(), { ...event, object_kind: "agency", object_id: "g1" }, names)).toBe("cơ quan Bộ Nội vụ");
    expect(objectWords(t(), { ...event, object_kind: "unit", object_id: "u1", detail: { name: "Vụ Tổ chức" } }, names)).toBe("đơn vị Vụ Tổ chức");
    expect(objectWords(t(), { ...event, object_kind: "unit", object_id: "u1" }, names)).toBe("đơn vị u1");
    expect(objectWords(t(), { ...event, object_kind: "" }, names)).toBe("");
  });
  it("leaves what a newer server says as it is", async () => {
    await i18n.loadNamespaces("audit");
    expect(actionWords(t(), "moon.landing")).toBe("moon.landing");
    expect(detailWords(t(), "crater", "deep", names)).toEqual({ key: "crater", value: "deep" });
    expect(detailWords(t(), "agency", "g1", names).value).toBe("Bộ Nội vụ");
  });
  it("offers every action that has words", async () => {
    await i18n.loadNamespaces("audit");
    const all = actionsOf(i18n.getResource("vi", "audit", "action"));
    expect(all).toContain("account.sign_in");
    expect(all.filter((a) => actionWords(t(), a) === a)).toEqual([]);
    expect(actionsOf(undefined)).toEqual([]);
  });
});

it("shows days without events, too, and not without end", () => {
  const days = everyDay([{ day: "2026-02-28", ok: 2, denied: 1, failed: 0 }], "2026-02-27", "2026-03-01");
  expect(days.map((d) => [d.day, d.ok])).toEqual([["2026-02-27", 0], ["2026-02-28", 2], ["2026-03-01", 0]]);
  expect(everyDay([], "1900-01-01", "2026-01-01").length).toBe(370);
});

it("draws the complete subtrees of a tree: the binary digits of its size", () => {
  expect([subtrees(0), subtrees(1), subtrees(6), subtrees(8), subtrees(2 ** 33 + 1)]).toEqual([[], [0], [2, 1], [3], [33, 0]]);
});

describe("an export", () => {
  beforeEach(() => void vi.stubGlobal("Blob", FileBlob)); // jsdom's cannot be read
  const lines = (...all: object[]) => all.map((l) => JSON.stringify(l)).join("\n") + "\n";
  const answer = (text: string, headers: Record<string, string> = {}) => vi.stubGlobal("fetch", () => Promise.resolve(new Response(text, { headers })));
  it("is whole when its last line says so, and has the name that the server gives it", async () => {
    answer(lines({ type: "header" }, { type: "event" }, { type: "event" }, { type: "end", events: 2 }), { "Content-Disposition": 'attachment; filename="nhat-ky.jsonl"' });
    const told: number[] = [];
    const { name, events } = await fetchExport({}, new AbortController().signal, (n) => told.push(n));
    expect([name, events, told.at(-1)]).toEqual(["nhat-ky.jsonl", 2, 3]);
  });
  it.each([
    ["without an end", lines({ type: "header" }, { type: "event" })],
    ["with fewer events than it says", lines({ type: "header" }, { type: "end", events: 2 })],
  ])("is refused %s", async (_, text) => {
    answer(text);
    await expect(fetchExport({}, new AbortController().signal, () => {})).rejects.toThrow(/cut off|internal/);
  });
});
