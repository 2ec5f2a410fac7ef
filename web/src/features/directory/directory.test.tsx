import { fireEvent, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { an, renderRoutes } from "../../testing/render";
import { serve } from "../../testing/server";
import { routes } from "./index";
import { useTreeStore } from "./state";
import { telephone } from "./telephone";

const duc = {
  id: "p-duc", name: "Ngô Quang Đức", given_name: "Đức", title: "Chánh Văn phòng", unit: "Văn phòng Bộ",
  agency_id: "a1", agency_name: "Bộ Nội vụ", agency_short: "BNV", address: "ducnq@noivu.g2g.example",
};
const card = {
  ...duc,
  positions: [
    { id: "1", title: "Chánh Văn phòng", unit: "Văn phòng Bộ", unit_id: "u1", agency_id: "a1", agency_name: "Bộ Nội vụ", kind: "main" },
    { id: "2", title: "Giám đốc", unit: "Trung tâm", unit_id: "u2", agency_id: "a1", agency_name: "Bộ Nội vụ", kind: "acting" },
  ],
};
const agencies = [
  {
    id: "a1", identifier: "G09", name: "Bộ Nội vụ", name_en: "Ministry of Home Affairs", short_name: "BNV", people: 7,
  },
];
const units = [{ id: "u1", name: "Văn phòng Bộ", name_en: "Ministry Office", people: 3, units: [{ id: "u11", name: "Phòng Tổng hợp", name_en: "", people: 1, units: [] }] }];
const people = (list: unknown[], next?: string) => ({ body: { people: list, ...(next ? { next } : {}) } });
const standing = {
  "GET /api/v1/directory/agencies": { body: { agencies } },
  "GET /api/v1/directory/agencies/a1/units": { body: { units } },
  "GET /api/v1/directory/people/p-duc": { body: card },
};

beforeEach(() => useTreeStore.setState({ touched: {}, top: 0 }));

describe("the directory", () => {
  it("searches as one types, once for the whole word, and the address follows", async () => {
    const { calls } = serve({ ...standing, "GET /api/v1/directory/people": people([duc]) });
    const { address } = renderRoutes(routes, "/directory");
    const field = await screen.findByRole("searchbox", { name: "Tìm người" });
    for (const value of ["d", "du", "duc"]) fireEvent.change(field, { target: { value } }); // faster than any machine is slow
    await screen.findByText("1 người khớp với “duc”");
    expect(address()).toBe("/directory?q=duc");
    const searches = calls.filter((c) => c.path === "/api/v1/directory/people").map((c) => new URLSearchParams(c.search).get("q"));
    expect(searches.filter(Boolean)).toEqual(["duc"]);
  });

  it("goes from the field to the people and back by arrows", async () => {
    serve({ ...standing, "GET /api/v1/directory/people": people([duc, { ...duc, id: "p2", name: "Tô Minh Đức" }]) });
    renderRoutes(routes, "/directory?q=duc");
    const field = await screen.findByRole("searchbox");
    await screen.findByText("Tô Minh Đức");
    await userEvent.click(field);
    await userEvent.keyboard("{ArrowDown}{ArrowDown}");
    expect(document.activeElement?.textContent).toContain("Tô Minh Đức");
    await userEvent.keyboard("{ArrowUp}{ArrowUp}");
    expect(document.activeElement).toBe(field);
  });

  it("shows a unit's people page by page, under where it stands", async () => {
    serve({
      ...standing,
      "GET /api/v1/directory/units/u11/people": (request) =>
        new URL(request.url).searchParams.get("cursor") ? people([{ ...duc, id: "p2", name: "Hồ Anh Tuấn" }]) : people([duc], "more"),
    });
    const { address } = renderRoutes(routes, "/directory");
    await userEvent.click(await screen.findByRole("treeitem", { name: /Phòng Tổng hợp/ }));
    await screen.findByText("Bộ Nội vụ › Văn phòng Bộ › Phòng Tổng hợp");
    const current = () => screen.getAllByRole("treeitem", { current: "page" }).map((l) => l.textContent);
    expect(current()).toEqual([expect.stringContaining("Phòng Tổng hợp")]);
    await screen.findByText("Hồ Anh Tuấn"); // the end is near, so more is fetched
    expect(address()).toBe("/directory?agency=a1&unit=u11");
  });

  it("walks the tree by keys alone", async () => {
    serve({ ...standing, "GET /api/v1/directory/people": people([]) });
    const { address } = renderRoutes(routes, "/directory");
    (await screen.findByRole("treeitem", { name: /Bộ Nội vụ/ })).focus();
    const at = () => document.activeElement?.textContent;
    await userEvent.keyboard("{ArrowRight}");
    expect(at()).toContain("Văn phòng Bộ");
    await userEvent.keyboard("{ArrowDown}");
    expect(at()).toContain("Phòng Tổng hợp");
    await userEvent.keyboard("{ArrowLeft}{ArrowLeft}");
    expect(screen.queryByRole("treeitem", { name: /Phòng Tổng hợp/ })).toBeNull();
    expect(document.activeElement?.getAttribute("aria-expanded")).toBe("false");
    await userEvent.keyboard("{ArrowRight}{Home}");
    expect(document.activeElement?.getAttribute("aria-level")).toBe("1");
    await userEvent.keyboard("phong t");
    expect(at()).toContain("Phòng Tổng hợp");
    await userEvent.keyboard("{Enter}");
    expect(address()).toBe("/directory?agency=a1&unit=u11");
  });

  it("draws a few of 2,000 agencies, and finds one by its name or identifier", async () => {
    const many = Array.from({ length: 2000 }, (_, i) => ({ id: `m${i}`, identifier: `H${i}.01`, name: `Sở Nội vụ số ${i}`, name_en: "", short_name: "", people: 1 }));
    serve({ ...standing, "GET /api/v1/directory/agencies": { body: { agencies: [...many, ...agencies] } }, "GET /api/v1/directory/people": people([]) });
    renderRoutes(routes, "/directory");
    const first = await screen.findByRole("treeitem", { name: /Sở Nội vụ số 0/ });
    expect(first.getAttribute("aria-setsize")).toBe("2001");
    expect(screen.getAllByRole("treeitem").length).toBeLessThan(100);
    const filter = screen.getByRole("searchbox", { name: "Lọc theo tên hoặc mã cơ quan" });
    await userEvent.type(filter, "h1999");
    expect(screen.getAllByRole("treeitem").map((r) => r.textContent)).toEqual([expect.stringContaining("Sở Nội vụ số 1999")]);
    fireEvent.change(filter, { target: { value: "bo noi" } });
    await userEvent.type(filter, "{ArrowDown}");
    expect(document.activeElement?.textContent).toContain("Bộ Nội vụ");
  });

  it("goes back to what was chosen when the search is emptied", async () => {
    serve({ ...standing, "GET /api/v1/directory/people": people([duc]), "GET /api/v1/directory/units/u1/people": people([{ ...duc, name: "Vũ Thị Hồng Hạnh" }]) });
    const { address } = renderRoutes(routes, "/directory?agency=a1&unit=u1");
    const field = await screen.findByRole("searchbox", { name: "Tìm người" });
    fireEvent.change(field, { target: { value: "duc" } });
    await screen.findByText("1 người khớp với “duc”");
    expect(address()).toBe("/directory?q=duc&agency=a1&unit=u1");
    fireEvent.change(field, { target: { value: "" } });
    await screen.findByText("Vũ Thị Hồng Hạnh");
    expect(address()).toBe("/directory?agency=a1&unit=u1");
  });

  it("lists an agency's groups, and who is in one", async () => {
    const group = { id: "g1", agency_id: "a1", kind: "rule", name: "Lãnh đạo cấp phòng", name_en: "", description: "", owners: [], rule_titles: [], rule_unit_id: "", unit_id: "", may_edit: false, version: 1 };
    serve({
      ...standing, "GET /api/v1/directory/people": people([]), "GET /api/v1/directory/groups": { body: { groups: [group] } },
      "GET /api/v1/directory/groups/g1/members": { body: { members: [{ entry_id: "", position_id: "", person: duc }], next: "" } },
    });
    const { address } = renderRoutes(routes, "/directory");
    const folder = await screen.findByRole("treeitem", { name: "Nhóm" });
    expect(folder.getAttribute("aria-posinset")).toBe(folder.getAttribute("aria-setsize"));
    await userEvent.click(folder);
    await userEvent.click(await screen.findByRole("treeitem", { name: "Lãnh đạo cấp phòng" }));
    await screen.findByText("Bộ Nội vụ › Lãnh đạo cấp phòng");
    await screen.findByRole("link", { name: /Ngô Quang Đức/ });
    expect(address()).toBe("/directory?agency=a1&group=g1");
  });

  it("dials and copies what a card shows, and says nothing of what it does not show", async () => {
    serve({ ...standing, "GET /api/v1/directory/people": people([]), "GET /api/v1/directory/people/p-duc": { body: { ...card, phone: "024.3976 4116 - máy lẻ 205" } } });
    const user = userEvent.setup();
    renderRoutes(routes, "/directory/p-duc");
    expect((await screen.findByRole("link", { name: "024.3976 4116 - máy lẻ 205" })).getAttribute("href")).toBe("tel:02439764116;ext=205");
    expect(screen.queryByText("Di động")).toBeNull();
    await user.click(screen.getByRole("button", { name: "Chép Thư công vụ" }));
    expect(await navigator.clipboard.readText()).toBe("ducnq@noivu.g2g.example");
  });

  it.each([
    ["0912 345 678", "tel:0912345678"],
    ["(+84) 24-3976-4116", "tel:+842439764116"],
    ["024.39764116 / 0912345678", "tel:02439764116"],
    ["tổng đài", ""],
    ["", ""],
  ])("dials %j", (written, link) => expect(telephone(written)).toBe(link));

  it("shows a person's card with every position", async () => {
    serve({ ...standing, "GET /api/v1/directory/people": people([]) });
    renderRoutes(routes, "/directory/p-duc?q=xyz");
    const shown = within(await screen.findByRole("region", { name: "Thông tin người được chọn" }));
    await shown.findByRole("heading", { name: "Ngô Quang Đức" });
    shown.getByText("ducnq@noivu.g2g.example");
    shown.getByText("Giám đốc");
    shown.getByText("Quyền");
    // No chat, mail or meetings among these routes: nothing leads nowhere.
    expect(shown.queryByRole("button", { name: "Gọi" })).toBeNull();
    expect(shown.queryByRole("link", { name: "Nhắn tin" })).toBeNull();
  });

  it("does not offer to call oneself", async () => {
    serve({ ...standing, "GET /api/v1/directory/people": people([]), [`GET /api/v1/directory/people/${an.person.id}`]: { body: { ...card, ...an.person } } });
    renderRoutes(routes, `/directory/${an.person.id}`);
    await screen.findByText("Đây là thông tin của bạn, như người khác nhìn thấy.");
  });

  it("says what failed, and tries again", async () => {
    let broken = true;
    serve({
      ...standing,
      "GET /api/v1/directory/people": () => (broken ? { status: 500, body: { code: "internal", detail: "x" } } : people([duc])),
    });
    renderRoutes(routes, "/directory");
    const alert = await screen.findByRole("alert");
    expect(alert.textContent).toContain("Chưa tải được danh sách người");
    broken = false;
    await userEvent.click(within(alert).getByRole("button", { name: "Thử lại" }));
    await screen.findByText("Ngô Quang Đức");
  });

  it("says what to do when nobody matches, and when a link leads to nobody", async () => {
    serve({ ...standing, "GET /api/v1/directory/people": people([]) });
    renderRoutes(routes, "/directory/nobody?q=xyz");
    await screen.findByText("Không có ai khớp");
    await screen.findByText("Danh bạ không có người này");
  });
});
