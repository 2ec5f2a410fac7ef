import { describe, expect, it } from "vitest";
import { formatDateTime, formatLongDate, formatWhen, fromWallClock, partOfDay } from "./dates";
import { fold, matches } from "./fold";
import { addressAs, comparePeople, initials, shortAgency } from "./names";
import { hrefOf, paths, safeReturn } from "./paths";

describe("fold", () => {
  it.each([
    ["Đức", "duc"],
    ["Ðức", "duc"], // the look-alike of Icelandic
    ["HÀ NỘI", "ha noi"],
    ["Nguye\u0302\u0303n", "nguyen"], // decomposed
  ])("folds %s", (text, folded) => expect(fold(text)).toBe(folded));

  it("matches words by their beginnings, in any order", () => {
    expect(matches("an ng", "Nguyễn Văn An")).toBe(true);
    expect(matches("guyen", "Nguyễn Văn An")).toBe(false);
  });
});

describe("names", () => {
  it("orders by tên, then đệm, then họ", () => {
    const people = ["Trần Văn Bình", "Nguyễn Văn Đức", "Lê Thị An", "Phạm Anh Dũng", "Bùi Thị An"].map((name) => ({ name }));
    expect(people.sort(comparePeople).map((p) => p.name)).toEqual([
      "Bùi Thị An", "Lê Thị An", "Trần Văn Bình", "Phạm Anh Dũng", "Nguyễn Văn Đức",
    ]);
  });
  it("addresses by title and tên", () => {
    expect(addressAs({ name: "Nguyễn Văn An", given_name: "An", title: "Chuyên viên" })).toBe("Chuyên viên An");
    expect(addressAs({ name: "Nguyễn Văn An", given_name: "" })).toBe("An");
  });
  it("shortens agencies", () => {
    expect(initials("Bộ Nội vụ")).toBe("NV");
    expect(shortAgency("Ủy ban nhân dân thành phố Hà Nội")).toBe("UBND TP Hà Nội");
  });
});

describe("dates", () => {
  const at = "2026-11-24T02:05:00Z"; // 09:05 in Ha Noi
  it("writes them in Viet Nam's time", () => {
    expect(formatDateTime(at)).toBe("24/11/2026 09:05");
    expect(formatLongDate(at, "vi")).toBe("Thứ Ba, ngày 24 tháng 11 năm 2026");
    expect(formatLongDate("2026-11-23T18:00:00Z", "vi")).toContain("ngày 24"); // already tomorrow there
    expect(fromWallClock("2026-11-24", "09:05").toISOString()).toBe("2026-11-24T02:05:00.000Z");
    expect(partOfDay(at)).toBe("morning");
  });
  it("is relative within the day only", () => {
    expect(formatWhen(at, "vi", "2026-11-24T02:05:30Z")).toBe("vừa xong");
    expect(formatWhen(at, "vi", "2026-11-24T02:10:00Z")).toBe("5 phút trước");
    expect(formatWhen(at, "vi", "2026-11-24T08:00:00Z")).toBe("09:05");
    expect(formatWhen(at, "vi", "2026-11-24T17:00:00Z")).toBe("24/11/2026 09:05");
  });
});

describe("paths", () => {
  it("writes what the address bar shows", () => {
    expect(hrefOf(paths.conversation("a/b"))).toBe("/chat/a%2Fb");
    expect(hrefOf(paths.compose({ to: "an@noivu.g2g.example" }))).toBe("/mail/compose?to=an%40noivu.g2g.example");
  });
  it.each(["//evil.example", "https://evil.example", "/\\evil.example", "/sign-in?to=/", undefined])(
    "returns to no %s",
    (to) => expect(safeReturn(to)).toBe("/"),
  );
  it("returns to a page with its query", () => expect(safeReturn("/chat?with=1")).toBe("/chat?with=1"));
});
