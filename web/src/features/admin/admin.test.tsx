import { screen } from "@testing-library/react";
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
    "PUT /api/v1/directory/agencies/x/policy": () => (refused ? { status: 409, body: { code: "conflict", detail: "changed meanwhile" } } : { body: policy }),
  });
  renderRoutes(routes, "/admin/policies", { session: { ...an, grants: [grant("security_admin", "x")] } });
  const user = userEvent.setup();
  await user.click(await screen.findByRole("combobox", { name: "Di động" }));
  await user.click(await screen.findByRole("option", { name: "Cùng đơn vị" }));
  await user.click(screen.getByRole("button", { name: "Lưu thay đổi" }));
  expect((await screen.findByRole("alert")).textContent).toContain("changed meanwhile");
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
