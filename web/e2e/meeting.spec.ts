import { type BrowserContextOptions, type Page } from "playwright-core";
import { expect, test } from "vitest";
import { expectAccessible, signIn as signInAt, typeHere, useServer, type Who } from "./harness";
import { keepConnections, seesAndHears } from "./media";

const title = "Giao ban liên cơ quan";
const app = useServer();

/** A person of the demo, signed in, in a window of her own. */
async function signIn(who: Who, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await app.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  await page.context().addInitScript(keepConnections);
  await page.clock.install(); // runs on by itself; a test may turn it forward
  await signInAt(page, who);
  return page;
}

const enter = (page: Page) => page.getByRole("button", { name: "Vào họp", exact: true }).click();
const chiOf = (page: Page) => page.getByRole("listitem", { name: /Lê Thị Kim Chi/ });
const control = (page: Page, name: string) => page.getByRole("toolbar").getByRole("button", { name });

test("an makes a meeting and names chi of the other agency, and both meet", async () => {
  const [an, chi] = await Promise.all([signIn("an"), signIn("chi")]);
  await chi.getByRole("navigation").getByRole("link", { name: "Danh bạ" }).click();
  await an.goto("/meetings");
  await an.getByRole("button", { name: "Cuộc họp mới" }).click();
  await an.getByLabel("Tên cuộc họp").fill(title);
  await an.getByRole("textbox", { name: "Mời" }).or(an.getByRole("combobox", { name: "Mời" })).first().fill("chi");
  await an.getByRole("option").first().click();
  await an.getByRole("button", { name: "Tạo và vào họp" }).click();
  await an.getByRole("button", { name: "Vào họp", exact: true }).waitFor();
  await expectAccessible(an);
  await enter(an);

  // chi is elsewhere: she is told there, behind the bell, and in her list.
  await chi.getByText("Nguyễn Văn An mời bạn họp").first().waitFor();
  await chi.getByRole("button", { name: /^Thông báo/ }).click();
  await chi.getByRole("link", { name: /Nguyễn Văn An mời bạn họp/ }).last().waitFor();
  await chi.keyboard.press("Escape");
  await chi.getByRole("navigation").getByRole("link", { name: "Họp", exact: true }).click();
  await chi.getByRole("link", { name: title, exact: true }).click();
  await chi.getByText("Đang trong phòng: Nguyễn Văn An").waitFor();
  // The notice's own way in goes, now that one has come.
  await chi.getByRole("alert").filter({ hasText: "mời bạn họp" }).waitFor({ state: "detached" });
  await enter(chi);
  await chiOf(an).waitFor();
  await seesAndHears(an);
  await seesAndHears(chi);
  await expectAccessible(an);

  await chi.keyboard.press("m");
  await chiOf(an).getByRole("img", { name: "Micro tắt" }).waitFor();
  await chi.keyboard.press("m");
  await chiOf(an).getByRole("img", { name: "Micro tắt" }).waitFor({ state: "detached" });

  // A screen is shared, and shared again: the second takes the first's place in the connection.
  const screen = an.getByRole("listitem", { name: "Màn hình của Lê Thị Kim Chi" });
  for (let i = 0; i < 2; i++) {
    await chi.keyboard.press("s");
    await screen.waitFor();
    await seesAndHears(an);
    await chi.keyboard.press("s");
    await screen.waitFor({ state: "detached" });
  }

  // A call goes on while one works elsewhere.
  await control(chi, "Thêm").click();
  await chi.getByRole("menuitem", { name: "Làm việc khác" }).click();
  await chi.getByRole("heading", { level: 1, name: /^Chào buổi/ }).waitFor();
  await seesAndHears(an);
  await chi.getByRole("link", { name: "Trở lại cuộc họp" }).click();
  await control(chi, "Rời cuộc họp").waitFor();

  // The server goes away: for chi a moment, for an longer than the client waits.
  await app.stop("SIGKILL");
  await chi.getByText("Mất kết nối. Đang kết nối lại…").waitFor();
  // In the small window, too, and to the last word.
  await control(chi, "Thêm").click();
  await chi.getByRole("menuitem", { name: "Làm việc khác" }).click();
  const small = chi.getByRole("region", { name: "Cuộc họp", exact: true }).getByRole("link", { name: "Mất kết nối. Đang kết nối lại…" });
  for (const width of [390, 1280]) {
    await chi.setViewportSize({ width, height: 800 });
    expect(await small.evaluate((e) => e.scrollWidth - e.clientWidth), `${width} px`).toBeLessThanOrEqual(0);
    expect(await small.evaluate((e) => getComputedStyle(e).textOverflow + getComputedStyle(e).whiteSpace)).toBe("clipnormal");
  }
  await small.click();
  await expect
    .poll(async () => {
      await an.clock.fastForward(10_000);
      return an.getByText(/Đang tự vào lại, lần \d+/).isVisible();
    })
    .toBe(true);
  await expectAccessible(an);
  await app.start();
  await an.getByRole("button", { name: "Thử ngay" }).click({ timeout: 2_000 }).catch(() => undefined); // it may be back already
  await chiOf(an).waitFor({ timeout: 30_000 });
  await seesAndHears(an);
  await seesAndHears(chi);

  await control(chi, "Rời cuộc họp").click();
  await chi.getByRole("heading", { name: "Bạn đã rời cuộc họp" }).waitFor();
  await chiOf(an).waitFor({ state: "detached" });
  await chi.getByRole("button", { name: "Vào lại" }).click();
  await enter(chi);
  await chiOf(an).waitFor();
  await seesAndHears(an);

  await control(an, "Thêm").click();
  await an.getByRole("menuitem", { name: "Kết thúc cho mọi người" }).waitFor();
  await expectAccessible(an); // an open menu is within the page's parts
  await an.getByRole("menuitem", { name: "Kết thúc cho mọi người" }).click();
  await an.getByRole("dialog").getByRole("button", { name: "Kết thúc", exact: true }).click();
  for (const page of [an, chi]) {
    await page.getByRole("heading", { name: "Cuộc họp đã kết thúc" }).waitFor();
    await expectAccessible(page);
  }
  await chi.goto("/meetings");
  await chi.getByRole("region", { name: "Đã qua" }).getByText(title).waitFor();
  await Promise.all([an.context().close(), chi.context().close()]);
}, 240_000);

/** Presses Tab until the named control has the focus. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const now = await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
    if (name.test(now)) return;
  }
  throw new Error(`no Tab leads to ${name}`);
}

test("a meeting is held by keyboard alone", async () => {
  const page = await signIn("binh");
  await page.goto("/meetings");
  await page.getByRole("heading", { level: 1, name: "Họp" }).waitFor();
  await tabTo(page, /^Họp ngay$/);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Tắt camera" }).waitFor();
  await page.keyboard.press("v");
  await page.getByRole("button", { name: "Bật camera" }).waitFor();
  await tabTo(page, /^Vào họp$/);
  await page.keyboard.press("Enter");
  await page.getByText("Chỉ có bạn trong phòng").waitFor();
  await page.keyboard.press("m");
  await control(page, "Bật micro").waitFor();
  await page.keyboard.press("p");
  await page.getByRole("complementary", { name: "Thành viên" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("complementary", { name: "Thành viên" }).waitFor({ state: "detached" });
  await page.keyboard.press("i");
  await page.getByRole("dialog", { name: "Mời thêm người" }).waitFor();
  await typeHere(page, "chi");
  await page.getByRole("option", { name: /Lê Thị Kim Chi/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: /Lê Thị Kim Chi/ }).waitFor();
  await tabTo(page, /^Mời$/);
  await page.keyboard.press("Enter");
  await page.getByText("Đã mời 1 người").waitFor();
  await tabTo(page, /^Rời cuộc họp$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Bạn đã rời cuộc họp" }).waitFor();
  await page.context().close();
});

test("signing out in another tab ends the call and its sockets", async () => {
  const [an, chi] = await Promise.all([signIn("an"), signIn("chi")]);
  await an.goto("/meetings");
  await an.getByRole("button", { name: "Họp ngay" }).click();
  await enter(an);
  await chi.goto(an.url());
  const closed = new Promise<void>((done) => {
    chi.on("websocket", (socket) => {
      if (socket.url().includes("/rtc")) socket.on("close", () => done());
    });
  });
  await enter(chi);
  await chiOf(an).waitFor();

  const other = await chi.context().newPage();
  await other.goto("/");
  await other.getByRole("button", { name: /^Tài khoản của/ }).click();
  await other.getByRole("button", { name: "Đăng xuất" }).click();
  await closed;
  await chiOf(an).waitFor({ state: "detached" });
  await chi.getByRole("heading", { name: "Đăng nhập" }).waitFor();
  expect(await chi.evaluate(() => (Reflect.get(window, "connections") as RTCPeerConnection[]).map((c) => c.connectionState))).toEqual(
    expect.not.arrayContaining(["connected"]),
  );
  await Promise.all([an.context().close(), chi.context().close()]);
});
