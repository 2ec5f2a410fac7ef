import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { fillDay, hand, type Day } from "./content";
import { expectAccessible, useServer, watch, type Who } from "./harness";

// Every page, with content, in both languages and both schemes, from a phone to a
// large screen: nothing for axe to find, nothing wider than the window, no error
// in the console, no request to anybody else. The pictures are kept.
const app = useServer();
const shots = path.join(import.meta.dirname, "..", "..", "artifacts", "screenshots", "pages");
const widths = [[1024, 768], [390, 844], [1920, 1080]] as const;
let day: Day;

beforeAll(async () => {
  mkdirSync(shots, { recursive: true });
  day = await fillDay(app);
});

/** A page's address, the heading by which it stands in each language, and who sees it: An, or another. */
type Stop = [name: string, address: () => string, vi: RegExp, en: RegExp, who?: Who];
const stops: Stop[] = [
  ["today", () => "/", /^Chào buổi/, /^Good /],
  ["meetings", () => "/meetings", /^Họp/, /^Meetings/],
  ["meeting-door", () => `/meetings/${day.meeting}`, /Đề án/, /Đề án/],
  ["chat", () => "/chat", /^Tin nhắn/, /^Messages/],
  ["conversation", () => `/chat/${day.conversation}`, /Lê Thị Kim Chi/, /Lê Thị Kim Chi/],
  ["channel", () => `/chat/${day.channel}`, /Tổ soạn thảo/, /Tổ soạn thảo/],
  ["mail", () => "/mail", /./, /./],
  ["compose", () => "/mail/compose", /./, /./],
  ["directory", () => "/directory", /^Danh bạ/, /^Directory/],
  ["directory-search", () => "/directory?q=duc", /^Danh bạ/, /^Directory/],
  ["person", () => `/directory/${day.chi}`, /Lê Thị Kim Chi/, /Lê Thị Kim Chi/],
  ["account", () => "/account", /^Liên hệ/, /^Contact/],
  ["account-security", () => "/account/security", /^Mật khẩu/, /^Password/],
  ["admin-units", () => "/admin/units", /^Đơn vị/, /^Units/, "admin"],
  ["admin-people", () => "/admin/people", /^Người và vị trí/, /^People and posts/, "admin"],
  ["admin-policies", () => "/admin/policies", /^Chính sách/, /^Policies/, "admin"],
  ["nowhere", () => "/khong-co-trang-nay", /^Không có trang này/, /^There is no such page/],
];

async function inEachScheme(page: Page, name: string, sizes: readonly (readonly [number, number])[]): Promise<void> {
  for (const [width, height] of sizes) {
    await page.setViewportSize({ width, height });
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.screenshot({ path: path.join(shots, `${name}-${scheme}-${width}.png`) });
      // Dark differs from light in its colours alone.
      await expectAccessible(page, { where: `${name}, ${scheme}, ${width} wide`, rule: scheme === "dark" ? "color-contrast" : undefined });
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), `${name} is wider than a window of ${width}`).toBeLessThanOrEqual(0);
    }
  }
}

describe.each(["vi", "en"] as const)("in %s", (lang) => {
  it("signs in", async () => {
    const page = await newPage(lang);
    const wrong = watch(page);
    await page.goto("/sign-in");
    await page.getByRole("heading", { name: lang === "vi" ? "Bản dùng thử" : "Demo" }).waitFor();
    await inEachScheme(page, `${lang}-sign-in`, lang === "vi" ? widths : [[390, 844]]);
    expect(wrong).toEqual([]);
    await page.context().close();
  });

  it("walks every page", { timeout: 240_000 }, async () => {
    const pages: Partial<Record<Who, Page>> = {};
    const wrong: Partial<Record<Who, string[]>> = {};
    for (const [name, address, vi, en, who = "an"] of stops) {
      const page = (pages[who] ??= await newPage(lang, who));
      wrong[who] ??= watch(page);
      await page.goto(address());
      await page.getByRole("heading", { name: lang === "vi" ? vi : en }).first().waitFor();
      await page.waitForLoadState("networkidle");
      // English differs in its words alone: the narrow window is where they may not fit.
      await inEachScheme(page, `${lang}-${name}`, lang === "vi" ? widths : [[390, 844]]);
      expect(wrong[who], name).toEqual([]);
    }
    await Promise.all(Object.values(pages).map((page) => page.context().close()));
  });
});

async function newPage(lang: "vi" | "en", who?: Who): Promise<Page> {
  const page = who ? (await hand(app, who)).page : await app.newPage();
  await page.addInitScript((l) => localStorage.setItem("commsd.lang", l), lang);
  return page;
}
