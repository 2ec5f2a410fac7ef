import { expect, it } from "vitest";
import { expectAccessible, people, screenshots, signIn, useServer } from "./harness";

const app = useServer();

it("says that login or password is wrong, and keeps what was typed", async () => {
  const page = await app.newPage();
  const complaints: string[] = [];
  page.on("console", (m) => m.type() === "error" && /Content Security|style|script/i.test(m.text()) && complaints.push(m.text()));
  await page.goto("/");
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(people.an);
  await page.getByLabel("Mật khẩu", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Đăng nhập", exact: true }).click();
  await page.getByRole("alert").getByText("Tên đăng nhập hoặc mật khẩu chưa đúng").waitFor();
  expect(await page.getByLabel("Tên đăng nhập", { exact: true }).inputValue()).toBe(people.an);
  await expectAccessible(page);
  await screenshots(page, "sign-in");
  expect(complaints).toEqual([]);
  await page.context().close();
});

it("fills the form with one of the demo's people, and Enter signs in", async () => {
  const page = await app.newPage();
  await page.goto("/sign-in");
  await page.getByRole("button", { name: /^Lê Thị Kim Chi/ }).click();
  expect(await page.getByLabel("Tên đăng nhập", { exact: true }).inputValue()).toBe(people.chi);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Tài khoản của Lê Thị Kim Chi" }).waitFor();
  await page.context().close();
});

it("says how long to wait after too many attempts", async () => {
  const page = await app.newPage();
  await page.goto("/sign-in");
  const wrong = { data: { login: people.binh, password: "wrong" }, headers: { Origin: app.url } };
  for (let i = 0; i < 10; i++) expect((await page.request.post("/api/v1/sessions", wrong)).status()).toBe(401); // so many are free
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(people.binh);
  // The first delay is over in a second, perhaps before the page comes to try; each further attempt doubles it.
  let status = 401;
  for (let i = 0; i < 6 && status === 401; i++) {
    const answer = page.waitForResponse((r) => r.url().endsWith("/api/v1/sessions") && r.request().method() === "POST");
    await page.getByLabel("Mật khẩu", { exact: true }).fill(`wrong ${i}`);
    await page.getByRole("button", { name: "Đăng nhập", exact: true }).click();
    status = (await answer).status();
  }
  expect(status).toBe(429);
  const alert = page.getByRole("alert");
  await alert.getByText("Có quá nhiều lần thử trong chốc lát").waitFor();
  await alert.getByText(/^Hãy đợi \d+ giây rồi thử lại\.$/).waitFor();
  await expectAccessible(page);
  await page.context().close();
});

it("works in another position, in this tab alone", async () => {
  const page = await app.newPage();
  await page.goto("/");
  await signIn(page, "an");
  const menu = page.getByRole("button", { name: /Đổi vị trí$/ });
  await menu.getByText("Chuyên viên chính, Vụ Cải cách hành chính").waitFor();
  await menu.click();
  const choices = page.getByRole("dialog", { name: "Làm việc với tư cách" });
  await choices.waitFor();
  await expectAccessible(page);
  const asked = page.waitForRequest((r) => "commsd-position" in r.headers());
  await choices.getByRole("button", { name: /^Thư ký Ban Chỉ đạo/ }).click();
  await asked;
  await menu.getByText("Thư ký Ban Chỉ đạo").waitFor();
  await page.reload();
  await menu.getByText("Thư ký Ban Chỉ đạo").waitFor();
  const tab = await page.context().newPage();
  await tab.goto("/");
  await tab.getByRole("button", { name: /Đổi vị trí$/ }).getByText("Vụ Cải cách hành chính").waitFor();
  await page.context().close();
});

it("signs in to the day, speaks both languages, goes dark, and signs out", async () => {
  const page = await app.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  await page.goto("/meetings");
  await signIn(page, "an");
  await page.waitForURL("**/meetings");
  await page.getByRole("navigation").getByRole("link", { name: "Hôm nay" }).click();
  await page.getByRole("heading", { level: 1, name: /^Chào buổi/ }).waitFor();
  await page.getByText("Chưa có cuộc họp nào sắp tới").waitFor();
  expect(await page.title()).toBe("Hôm nay · commsd");
  await expectAccessible(page);
  await screenshots(page, "today");

  await page.getByRole("button", { name: "Chuyển sang nền tối" }).click();
  await page.getByRole("button", { name: "Chuyển sang nền sáng" }).waitFor();
  await expectAccessible(page);

  await page.getByRole("button", { name: "English" }).click();
  await page.getByRole("heading", { level: 1, name: /^Good / }).waitFor();
  expect(await page.getAttribute("html", "lang")).toBe("en");
  await page.reload();
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  const gone = await page.request.get("/api/v1/sessions/current");
  expect(gone.status()).toBe(401);
  await page.context().close();
});

it("says that a session has ended, and comes back to the place", async () => {
  const page = await app.newPage();
  await page.goto("/");
  await signIn(page, "chi");
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForLoadState("networkidle"); // what the page still asks for would find out before the click does
  await page.context().clearCookies(); // as when it expires
  await page.getByRole("navigation").getByRole("link", { name: "Họp", exact: true }).click();
  await page.getByText("Phiên làm việc đã kết thúc").waitFor();
  await signIn(page, "chi");
  await page.waitForURL("**/meetings");
  await page.context().close();
});

it("says that the network is gone, keeps what it has, and that it is back by saying nothing", async () => {
  const page = await app.newPage();
  await page.goto("/directory");
  await signIn(page, "chi");
  await page.getByText("Cùng cơ quan").waitFor();
  await page.waitForLoadState("networkidle");
  await page.context().setOffline(true);
  const banner = page.getByText(/^Đang mất mạng\./);
  await banner.waitFor();
  await expectAccessible(page);
  // A page not seen before says what is wrong; what was loaded is still there.
  await page.getByRole("treeitem", { name: /Sở Nội vụ/ }).click();
  await page.getByRole("alert").getByText("Chưa tải được danh sách người").waitFor();
  await page.goBack();
  await page.getByText("Cùng cơ quan").waitFor();
  // A part not opened before opens all the same: its code was fetched ahead.
  await page.getByRole("navigation", { name: "Các phần" }).getByRole("link", { name: "Họp", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: /^Họp/ }).waitFor();
  await page.goBack();
  await page.getByRole("treeitem", { name: /Sở Nội vụ/ }).click();
  await page.context().setOffline(false);
  await banner.waitFor({ state: "detached" });
  await page.getByRole("link", { name: /Nguyễn Thị Bích Ngọc/ }).waitFor(); // asked anew by itself
  await page.context().close();
});

it("is reached by keyboard alone", async () => {
  const page = await app.newPage();
  await page.goto("/");
  await signIn(page, "an");
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.reload();
  await page.getByRole("heading", { level: 1 }).waitFor();
  const reached: string[] = [];
  for (let i = 0; i < 14; i++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? ""));
  }
  expect(reached[0]).toBe("Đến nội dung chính");
  for (const name of ["Thông báo", "Chuyển sang nền tối", "Hôm nay", "Họp"]) expect(reached).toContain(name);
  expect(reached.some((r) => r.startsWith("Tài khoản của"))).toBe(true);

  // The header's windows: opened by a key, left by Escape, the focus where it was.
  await page.getByRole("button", { name: "Thông báo" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Thông báo" }).getByText(/Chưa có thông báo/).waitFor();
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Thông báo" }).waitFor({ state: "hidden" });
  expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Thông báo");
  await page.getByRole("button", { name: /^Tài khoản của/ }).press("Enter");
  await page.getByRole("link", { name: "Tài khoản của tôi" }).waitFor();
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Tài khoản của tôi");
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Đăng xuất");
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await page.context().close();
});

it("asks again for words that did not come", async () => {
  const page = await app.newPage();
  const asked = new Set<string>();
  await page.route("**/assets/vi-*.js", (route) => {
    const url = route.request().url();
    const again = asked.has(url);
    asked.add(url);
    return again ? route.continue() : route.abort("failed");
  });
  await page.goto("/directory");
  await signIn(page, "an");
  await page.getByRole("heading", { level: 1, name: "Danh bạ" }).waitFor();
  expect(asked.size).toBeGreaterThan(0);
  await page.context().close();
});
