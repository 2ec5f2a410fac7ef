import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { Unit } from "../../api/directory";
import { an, renderRoutes } from "../../testing/render";
import { serve } from "../../testing/server";
import { lines } from "./edits";
import { routes } from "./index";
import { fromDay, lastDay, untilDay } from "./people";
import { agenciesOf, holdsAt, type Grant } from "./scope";
import { flat, moved } from "./units";

const unit = (id: string, units: Unit[] = []): Unit => ({ id, name: `Đơn vị ${id}`, name_en: "", people: 1, units });
const tree = [unit("a", [unit("a1"), unit("a2")]), unit("b")];
const agencies = [{ id: "x", identifier: "G09", name: "Bộ Nội vụ", name_en: "", short_name: "", people: 3 }];
const grant = (role: Grant["role"], agency_id = "", unit_path = ""): Grant => ({ role, agency_id, unit_path });

describe("the reach of roles", () => {
  it("is a subtree, by path", () => {
    const grants = [grant("agency_admin", "x", "/a/")];
    expect(holdsAt(grants, ["agency_admin"], "x", "/a/a1/")).toBe(true);
    expect(holdsAt(grants, ["agency_admin"], "x", "/b/")).toBe(false);
    expect(holdsAt(grants, ["agency_admin"], "x", "")).toBe(false);
    expect(holdsAt(grants, ["agency_admin"], "y", "/a/")).toBe(false);
    expect(holdsAt([grant("auditor")], ["agency_admin"], "x", "/a/")).toBe(false);
  });
  it("names the agencies to administer", () => {
    expect(agenciesOf([grant("system_admin")])).toBe("all");
    expect(agenciesOf([grant("agency_admin", "x"), grant("auditor", "y")])).toEqual(new Set(["x"]));
  });
});

describe("what forms hold", () => {
  it("keeps the last day of a span through the server's moment after it", () => {
    expect(fromDay("2026-03-01")).toBe("2026-02-28T17:00:00.000Z");
    expect(untilDay("2026-06-30")).toBe("2026-06-30T17:00:00.000Z");
    expect(lastDay(untilDay("2026-06-30"))).toBe("2026-06-30");
    expect([fromDay(""), untilDay(""), lastDay(undefined)]).toEqual([undefined, undefined, ""]);
  });
  it("reads lines and words between commas, each once", () => {
    expect(lines(" noivu.gov.vn\nnoivu.vn; noivu.gov.vn,\n\n")).toEqual(["noivu.gov.vn", "noivu.vn"]);
  });
  it("moves a unit by one place, and not past the ends", () => {
    const [a] = flat(tree, "vi");
    expect(flat(tree, "vi").map((u) => u.path)).toEqual(["/a/", "/a/a1/", "/a/a2/", "/b/"]);
    expect(moved(a?.siblings ?? [], "b", -1)).toEqual(["b", "a"]);
    expect(moved(a?.siblings ?? [], "a", -1)).toBeUndefined();
  });
});

it("lets a security administrator change who sees a field, and keeps the choice when saving fails", async () => {
  const everybody = "all_agencies" as const;
  const fields = ["entry", "name", "title", "unit", "agency", "address", "phone", "mobile", "office", "photo"];
  const policy = { visibility: Object.fromEntries(fields.map((f) => [f, everybody])), personal: ["photo"], sign_in: { second_factor: "administrators", app_passwords: true } };
  let refused = true;
  const { calls } = serve({
    "GET /api/v1/directory/agencies": { body: { agencies } },
    "GET /api/v1/directory/agencies/x/policy": { body: policy },
    "PUT /api/v1/directory/agencies/x/policy": () => (refused ? { status: 409, body: { code: "conflict", detail: "changed meanwhile", reason: "changed_meanwhile" } } : { body: policy }),
  });
  renderRoutes(routes, "/admin/policies", { session: { ...an, grants: [grant("security_admin", "x")] } });
  const user = userEvent.setup();
  await user.click(await screen.findByRole("combobox", { name: "Di động" }));
  await user.click(await screen.findByRole("option", { name: "Cùng đơn vị" }));
  await user.click(screen.getByRole("button", { name: "Lưu thay đổi" }));
  // What is wrong stands there in Vietnamese; the server's own words are there for who looks for them.
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("Có người vừa sửa nội dung này");
  expect(within(alert).getByText("changed meanwhile").closest("details")?.open).toBe(false);
  expect((screen.getByRole("combobox", { name: "Di động" }) as HTMLInputElement).value).toBe("Cùng đơn vị");
  refused = false;
  await user.click(screen.getByRole("button", { name: "Lưu thay đổi" }));
  await screen.findByRole("button", { name: "Lưu thay đổi" });
  const put = calls.filter((c) => c.method === "PUT").at(-1)?.body as { visibility: Record<string, string>; personal: string[] };
  expect([put.visibility["mobile"], put.visibility["phone"], put.personal]).toEqual(["own_unit", everybody, ["photo"]]);
});

it("says whom to ask where the role does not reach", async () => {
  serve({ "GET /api/v1/directory/agencies": { body: { agencies } } });
  renderRoutes(routes, "/admin/groups", { session: { ...an, grants: [grant("security_admin", "x")] } });
  await screen.findByRole("heading", { name: "Cần thêm quyền quản trị" });
  await screen.findByText(/Hãy đề nghị quản trị hệ thống, hoặc người đang là quản trị cơ quan, cấp quyền/);
});

const record = {
  id: "p1", name: "Lê Thị Hoà", family_name: "Lê", middle_name: "Thị", given_name: "Hoà", address: "hoa@noivu.g2g.example", aliases: [], phone: "", mobile: "", office: "",
  external_key: "", disabled: false, has_account: false, version: 1,
};
const card = { id: "p1", name: "Lê Thị Hoà", given_name: "Hoà", title: "Văn thư", unit: "Văn phòng Bộ", agency_id: "x", agency_name: "Bộ Nội vụ", agency_short: "", address: record.address, photo: "f00d", positions: [] };
const person = {
  "GET /api/v1/directory/agencies": { body: { agencies } },
  "GET /api/v1/directory/agencies/x/units": { body: { units: tree } },
  "GET /api/v1/directory/people/p1/record": { body: record },
  "GET /api/v1/directory/people/p1/positions": { body: { positions: [] } },
  "GET /api/v1/directory/people/p1": { body: card },
};

it("looks for people in the agency alone, and shows their pictures", async () => {
  const { calls } = serve({ ...person, "GET /api/v1/directory/people": { body: { people: [card] } } });
  renderRoutes(routes, "/admin/people?q=hoa", { session: { ...an, grants: [grant("agency_admin", "x")] } });
  const row = await screen.findByRole("link", { name: /Lê Thị Hoà/ });
  const asked = new URLSearchParams(calls.find((c) => c.path === "/api/v1/directory/people")?.search);
  expect([asked.get("q"), asked.get("agency_id")]).toEqual(["hoa", "x"]);
  const picture = row.querySelector("img");
  expect([picture?.getAttribute("src"), picture?.getAttribute("loading")]).toEqual(["/api/v1/directory/people/p1/photo?v=f00d", "lazy"]);
});

it("sets who sees one person's number, above what the agency says", async () => {
  const levels = Object.fromEntries(["entry", "name", "title", "unit", "agency", "address", "phone", "mobile", "office", "photo"].map((f) => [f, "all_agencies"]));
  const visibility = { effective: { ...levels, photo: "hidden" }, allowed: ["mobile", "photo"], own: [{ field: "photo", level: "hidden" }], set_by_administrator: [{ field: "title", level: "own_agency" }] };
  const { calls } = serve({ ...person, "GET /api/v1/directory/people/p1/visibility": { body: visibility }, "PUT /api/v1/directory/people/p1/visibility": { body: visibility } });
  renderRoutes(routes, "/admin/people/p1", { session: { ...an, grants: [grant("agency_admin", "x")] } });
  const part = await screen.findByRole("region", { name: "Ai thấy thông tin của người này" });
  await within(part).findByText("Không ai · người này tự chọn");
  within(part).getByText("Mọi cơ quan · chọn riêng cho người này");
  const user = userEvent.setup();
  await user.click(within(part).getByRole("button", { name: "Chọn riêng cho người này" }));
  await user.click(within(part).getByRole("combobox", { name: "Di động" }));
  await user.click(await screen.findByRole("option", { name: "Không ai" }));
  await user.click(within(part).getByRole("button", { name: "Lưu thay đổi" }));
  await within(part).findByRole("button", { name: "Chọn riêng cho người này" });
  expect(calls.filter((c) => c.method === "PUT").at(-1)?.body).toEqual({ set_by_administrator: [{ field: "title", level: "own_agency" }, { field: "mobile", level: "hidden" }] });
});
