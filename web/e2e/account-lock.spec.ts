import { mkdirSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { expectAccessible, password, signIn, useServer } from "./harness";

// Sessions are locked after a quarter of a minute, and proofs are old after less.
const app = useServer({ env: { COMMSD_SESSION_IDLE_LOCK: "15s", COMMSD_SESSION_ADMIN_IDLE_LOCK: "15s", COMMSD_SESSION_FRESH_FOR: "10s" } });
const shots = path.join(import.meta.dirname, "..", "..", "artifacts", "screenshots", "account");

it("asks who it is before a sensitive act, locks when nobody is there, and goes on where one was", { timeout: 90_000 }, async () => {
  mkdirSync(shots, { recursive: true });
  const page = await app.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto("/account/security");
  await signIn(page, "an");
  await page.getByRole("heading", { level: 1 }).waitFor();

  // A proof gets old while one works: that is asked of the server, whose clock it is.
  await expect.poll(() => page.request.post("/api/v1/account/recovery-codes", { headers: { Origin: app.url } }).then((r) => r.status()), { timeout: 20_000, interval: 500 }).toBe(423);
  await page.getByRole("button", { name: "Cài ứng dụng xác thực" }).click();
  const confirm = page.getByRole("dialog", { name: "Xác nhận đó là bạn" });
  await confirm.waitFor();
  await expectAccessible(page);
  await page.screenshot({ path: path.join(shots, "confirm-light-1280.png") });
  await page.keyboard.press("Escape");
  await confirm.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Cài ứng dụng xác thực" }).click();
  await confirm.getByLabel("Mật khẩu hiện tại").fill(password);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Cài ứng dụng xác thực" }).getByLabel("Mã sáu chữ số").waitFor(); // what was asked for goes on by itself
  await page.keyboard.press("Escape");

  // A message half written, and another tab on the same session.
  await page.goto("/mail/compose");
  await page.getByLabel("Tiêu đề", { exact: true }).fill("Báo cáo đang viết dở");
  const tab = await page.context().newPage();
  await tab.goto("/directory");
  await tab.getByRole("heading", { level: 1 }).waitFor();

  const locked = page.getByRole("dialog", { name: "Phiên đã khóa" });
  await locked.waitFor({ timeout: 40_000 });
  await tab.getByRole("dialog", { name: "Phiên đã khóa" }).waitFor();
  expect(await page.title()).toMatch(/Phiên đã khóa · commsd$/);
  await expectAccessible(page);
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const [width, height] of [[390, 844], [1280, 800]] as const) {
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: path.join(shots, `locked-${scheme}-${width}.png`) });
      await expectAccessible(page, { rule: "color-contrast" });
    }
  }
  // Nothing but the dialog is reached, by keys or by who listens.
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  expect(await locked.isVisible()).toBe(true);
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null)).toBe(true);
  }
  expect(await page.request.get("/api/v1/mail/mailboxes").then((r) => r.status())).toBe(423);

  await locked.getByLabel("Mật khẩu hiện tại").fill(password);
  await page.keyboard.press("Enter");
  await locked.waitFor({ state: "detached" });
  await tab.getByRole("dialog", { name: "Phiên đã khóa" }).waitFor({ state: "detached" }); // both at once
  expect(await page.getByLabel("Tiêu đề", { exact: true }).inputValue()).toBe("Báo cáo đang viết dở");
  await page.context().close();
});
