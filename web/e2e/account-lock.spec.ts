import { mkdirSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { hand } from "./content";
import { addAuthenticator, expectAccessible, password, signIn, useServer } from "./harness";

// Sessions are locked after a quarter of a minute, and proofs are old after less.
// The tests wait for that at the same time, each as somebody else.
const app = useServer({ env: { COMMSD_SESSION_IDLE_LOCK: "15s", COMMSD_SESSION_ADMIN_IDLE_LOCK: "15s", COMMSD_SESSION_FRESH_FOR: "10s" } });
const shots = path.join(import.meta.dirname, "..", "..", "artifacts", "screenshots", "account");

const lockOf = (page: Page) => page.getByRole("dialog", { name: "Phiên đã khóa" });
/** Whether the session is locked, asked without working in it. */
const isLocked = (page: Page) => page.request.get("/api/v1/sessions/current").then(async (r) => ((await r.json()) as { locked: boolean }).locked);
const patience = { timeout: 40_000, interval: 250 };

it.concurrent("asks who it is before a sensitive act, locks when nobody is there, and goes on where one was", async () => {
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

  const locked = lockOf(page);
  await locked.waitFor({ timeout: 40_000 });
  await lockOf(tab).waitFor();
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
  await locked.evaluate((dialog) => dialog.addEventListener("close", () => { dialog.dataset["closed"] = "for a moment"; }));
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  expect(await locked.isVisible()).toBe(true);
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null)).toBe(true);
  }
  expect(await locked.getAttribute("data-closed")).toBeNull();
  expect(await page.request.get("/api/v1/mail/mailboxes").then((r) => r.status())).toBe(423);

  await locked.getByLabel("Mật khẩu hiện tại").fill(password);
  await page.keyboard.press("Enter");
  await locked.waitFor({ state: "detached" });
  await lockOf(tab).waitFor({ state: "detached" }); // both at once
  expect(await page.getByLabel("Tiêu đề", { exact: true }).inputValue()).toBe("Báo cáo đang viết dở");
  await page.context().close();
});

it.concurrent("opens by a passkey, and sends what was written before it locked", async () => {
  const [binh, chi] = await Promise.all([hand(app, "binh"), hand(app, "chi")]);
  const { id } = await binh.api<{ id: string }>("post", "/api/v1/chat/conversations", { kind: "direct", person: chi.id });
  const page = await app.newPage();
  await addAuthenticator(page);
  await page.addInitScript(() => (PublicKeyCredential.isConditionalMediationAvailable = () => Promise.resolve(false)));
  await page.goto("/account/security");
  await signIn(page, "binh");
  await page.getByRole("button", { name: "Thêm khóa truy cập" }).click();
  await page.getByLabel("Tên thiết bị").fill("Máy tính ở Vụ");
  await page.getByRole("button", { name: "Tạo khóa" }).click();
  const made = page.getByRole("list", { name: "Khóa truy cập (passkey)" }).getByText("Máy tính ở Vụ");
  const again = page.getByRole("dialog", { name: "Xác nhận đó là bạn" }).getByLabel("Mật khẩu hiện tại"); // on a slow machine the proof is old by now
  await made.or(again).waitFor();
  if (await again.isVisible()) {
    await again.fill(password);
    await again.press("Enter");
    await made.waitFor();
  }

  await page.goto(`/chat/${id}`);
  const field = page.getByRole("textbox", { name: /^Viết cho/ });
  await field.waitFor();
  const network = await page.context().newCDPSession(page);
  const away = (offline: boolean) => network.send("Network.emulateNetworkConditions", { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await away(true);
  await field.fill("Viết khi mất mạng");
  await field.press("Enter");
  await expect.poll(() => isLocked(page), patience).toBe(true);
  await away(false);
  await lockOf(page).waitFor({ timeout: 30_000 });
  await lockOf(page).getByRole("button", { name: "Dùng khóa truy cập (passkey)" }).click();
  await lockOf(page).waitFor({ state: "detached" });
  const reader = await hand(app, "chi");
  await expect.poll(() => reader.api<unknown>("get", `/api/v1/chat/conversations/${id}/events`).then(JSON.stringify), patience).toContain("Viết khi mất mạng");
  expect(await page.getByText(/^Chưa gửi/).count()).toBe(0);
  await Promise.all([page, binh.page, chi.page, reader.page].map((p) => p.context().close()));
});

it.concurrent("does not lock while a call is on, and does after it", async () => {
  const page = await app.newPage();
  await signIn(page, "dung");
  await page.goto("/meetings");
  await page.getByRole("button", { name: "Họp ngay" }).click();
  await page.getByRole("button", { name: "Vào họp", exact: true }).click();
  await page.getByText("Chỉ có bạn trong phòng").waitFor();
  const idle = await hand(app, "dung"); // signed in later than anybody touched the call, and does nothing
  await expect.poll(() => isLocked(idle.page), patience).toBe(true);
  expect(await isLocked(page)).toBe(false);
  expect(await lockOf(page).count()).toBe(0);
  await page.getByRole("button", { name: "Rời cuộc họp" }).click();
  await page.getByRole("heading", { name: "Bạn đã rời cuộc họp" }).waitFor();
  await lockOf(page).waitFor({ timeout: 40_000 });
  await Promise.all([page, idle.page].map((p) => p.context().close()));
});
