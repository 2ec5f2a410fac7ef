import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { expectAccessible, people, screenshots, signIn, typeHere, useServer } from "./harness";
import { deliver, fromOutside, hostile, morning, submit } from "./mail-letters";

const app = useServer();
const { chi, binh } = people;
let dir = "";
beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), "commsd-mail-"));
  await deliver(app, morning);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const list = (page: Page) => page.getByRole("region", { name: "Danh sách thư" });
const letter = (page: Page, subject: string | RegExp) => list(page).getByRole("link", { name: subject });
const folder = (page: Page, name: string) => page.getByRole("navigation", { name: "Thư mục" }).getByRole("link", { name });
const text = (page: Page) => page.getByRole("textbox", { name: "Nội dung" });
const to = (page: Page) => page.getByRole("textbox", { name: "Người nhận" });
const wide = { viewport: { width: 1440, height: 900 } };

it("brings a letter with a file from one agency to the other, and the answer back", async () => {
  const reader = await app.newPage(wide);
  await reader.goto("/mail");
  await signIn(reader, "chi");
  await letter(reader, /Kế hoạch thanh tra công vụ/).waitFor();
  await expect.poll(() => list(reader).getByRole("listitem").count()).toBe(morning.length);
  await expect.poll(() => reader.title()).toBe(`Thư đến (${morning.length}) · commsd`);
  await reader.getByRole("link", { name: new RegExp(`^Thư\\s*, ${morning.length} mục chờ`) }).waitFor();
  await expectAccessible(reader);
  await screenshots(reader, "mail-list");

  const page = await app.newPage(wide);
  await page.goto("/mail");
  await signIn(page, "an");
  await page.getByRole("link", { name: "Soạn thư" }).click();
  await page.waitForURL(/\/mail\/compose\/[0-9a-f-]{36}/);
  await to(page).fill("kim chi"); // without marks
  await page.getByRole("option", { name: /Lê Thị Kim Chi/ }).waitFor();
  await expectAccessible(page);
  await screenshots(page, "mail-compose-people");
  await page.getByRole("option", { name: /Lê Thị Kim Chi/ }).click();
  await page.getByRole("button", { name: "Đồng gửi" }).click();
  await page.getByRole("textbox", { name: "Đồng gửi (Cc)" }).fill(`${binh},`);
  await page.getByRole("textbox", { name: "Tiêu đề" }).fill("Dự thảo Quyết định phân cấp quản lý");
  await text(page).fill("Kính gửi chị Kim Chi,\n\nXin gửi chị dự thảo để cho ý kiến. Tệp đính kèm là bản đã rà soát thể thức.");
  // What nobody can guess, in a name that needs its marks.
  const bytes = randomBytes(700_000);
  const file = path.join(dir, "Dự thảo “phân cấp” (lần 3).docx");
  writeFileSync(file, bytes);
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Đính kèm" }).click();
  await (await chooser).setFiles(file);
  await page.getByRole("button", { name: /^Bỏ tệp Dự thảo/ }).waitFor();
  await page.getByText("700 kB").waitFor();
  // Others come by dropping and pasting, and go again.
  const dropped = await page.evaluateHandle(() => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["thả vào"], "Phụ lục 1.txt", { type: "text/plain" }));
    return transfer;
  });
  await text(page).dispatchEvent("dragenter", { dataTransfer: dropped });
  await page.getByText("Thả tệp vào đây để đính kèm").waitFor();
  await text(page).dispatchEvent("drop", { dataTransfer: dropped });
  await page.getByRole("button", { name: "Bỏ tệp Phụ lục 1.txt" }).click();
  await text(page).evaluate((field) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["dán vào"], "Ảnh chụp.png", { type: "image/png" }));
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
  });
  await page.getByRole("button", { name: "Bỏ tệp Ảnh chụp.png" }).click();
  await page.getByText(/^Đã lưu nháp lúc/).waitFor();
  await expectAccessible(page);
  await screenshots(page, "mail-compose");
  await page.getByRole("button", { name: "Gửi", exact: true }).click();
  await page.getByText("Đã gửi thư").waitFor();
  await page.waitForURL("**/mail");

  // It is there without a reload, and her file has the same bytes.
  await reader.bringToFront();
  await letter(reader, /Dự thảo Quyết định phân cấp/).waitFor();
  await letter(reader, /Dự thảo Quyết định phân cấp/).click();
  const message = reader.getByRole("article", { name: "Dự thảo Quyết định phân cấp quản lý" });
  await message.getByRole("link", { name: "Nguyễn Văn An" }).waitFor();
  await message.getByText("Gửi Lê Thị Kim Chi · đồng gửi Trần Thanh Bình").waitFor();
  await expectAccessible(reader);
  await screenshots(reader, "mail-reading");
  const saved = reader.waitForEvent("download");
  await message.getByRole("link", { name: /^Tải về\s*Dự thảo/ }).click();
  const download = await saved;
  expect(download.suggestedFilename()).toBe(path.basename(file));
  expect(readFileSync(await download.path()).equals(bytes)).toBe(true);

  await message.getByRole("link", { name: "Trả lời tất cả" }).click();
  const fields = reader.getByRole("region", { name: "Re: Dự thảo Quyết định phân cấp quản lý" });
  await fields.getByText("Nguyễn Văn An", { exact: true }).waitFor();
  await fields.getByText("Trần Thanh Bình").waitFor();
  expect(await fields.getByText("Lê Thị Kim Chi").count()).toBe(0); // not to oneself
  await typeHere(reader, "Thành phố nhất trí với dự thảo.");
  expect(await text(reader).inputValue()).toMatch(/^Thành phố nhất trí với dự thảo\.\n\nNgày .*, Nguyễn Văn An viết:\n> Kính gửi chị Kim Chi,\n>\n> Xin gửi/);
  await reader.getByText(/^Đã lưu nháp lúc/).waitFor();
  await reader.keyboard.press("Control+Enter");
  await reader.getByText("Đã gửi thư").waitFor();
  await letter(reader, /Đã trả lời/).waitFor();

  await page.bringToFront();
  await letter(page, /Re: Dự thảo Quyết định phân cấp/).click();
  const answer = page.getByRole("article", { name: "Re: Dự thảo Quyết định phân cấp quản lý" });
  await answer.getByText("Thành phố nhất trí với dự thảo.").waitFor();
  await answer.getByRole("button", { name: "Chi tiết" }).click();
  await answer.getByText(`Trần Thanh Bình <${binh}>`).waitFor();
  await page.context().close();
  await reader.context().close();
});

it("is used by the keyboard alone: list, reading, writing, sending", async () => {
  const page = await app.newPage(wide);
  await page.goto("/mail");
  await signIn(page, "an");
  await list(page).getByRole("listitem").first().waitFor();
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
  const tabTo = async (name: RegExp) => {
    for (let i = 0; i < 40; i++) {
      if (name.test(await focused())) return;
      await page.keyboard.press("Tab");
    }
    throw new Error(`Tab does not reach ${name}, it is at ${await focused()}`);
  };
  await tabTo(/^Đến nội dung chính/);
  await tabTo(/vừa xong|phút trước|\d\d:\d\d/); // the first message
  const first = await focused();
  await page.keyboard.press("j");
  const second = await focused();
  expect(second).not.toBe(first);
  await page.keyboard.press("k");
  expect(await focused()).toBe(first);
  await page.keyboard.press("Enter");
  await page.getByRole("article").waitFor();
  await page.keyboard.press("c");
  await page.waitForURL(/compose/);
  await to(page).waitFor();
  await typeHere(page, "kim chi");
  await page.getByRole("option", { name: /Kim Chi/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Bỏ Lê Thị Kim Chi" }).waitFor();
  for (let i = 0; i < 3; i++) await page.keyboard.press("Tab"); // over the buttons for copies
  await typeHere(page, "Viết bằng bàn phím");
  await page.keyboard.press("Tab");
  await typeHere(page, "Không dùng chuột.");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Đã gửi thư").waitFor();
  await page.goto("/mail/sent");
  await letter(page, /Gửi Lê Thị Kim Chi.*Viết bằng bàn phím/).waitFor();
  await page.context().close();
});

it("loses nothing that was typed: reload, an expired session, the server away", async () => {
  const page = await app.newPage(wide);
  await page.goto(`/mail/compose?to=${chi}`);
  await signIn(page, "an");
  await page.getByRole("textbox", { name: "Tiêu đề" }).fill("Kế hoạch tuần");
  await text(page).fill("Thứ Hai: giao ban.");
  await page.reload(); // at once, before anything was saved
  await text(page).waitFor();
  expect(await text(page).inputValue()).toBe("Thứ Hai: giao ban.");
  await page.getByText(/^Đã lưu nháp lúc/).waitFor();

  await page.context().clearCookies(); // as when the session ends
  await text(page).fill("Thứ Hai: giao ban. Thứ Ba: tiếp công dân.");
  await page.getByText("Phiên làm việc đã kết thúc").waitFor();
  await signIn(page, "an");
  await text(page).waitFor();
  expect(await text(page).inputValue()).toBe("Thứ Hai: giao ban. Thứ Ba: tiếp công dân.");
  await page.getByText(/^Đã lưu nháp lúc/).waitFor();

  // While the server is away the letter stays, and says so.
  await page.route("**/api/v1/mail/**", (route) => route.abort());
  await text(page).fill("Thứ Tư: họp Ban cán sự.");
  await page.getByRole("button", { name: "Gửi", exact: true }).click();
  await page.getByText("Chưa kết nối được máy chủ. Thư vẫn ở đây; hãy gửi lại khi có mạng.").waitFor();
  await page.getByText("Chưa lưu lên máy chủ được; đang giữ trên máy này").waitFor();
  await expectAccessible(page);
  await screenshots(page, "mail-compose-offline");
  await page.unroute("**/api/v1/mail/**");

  // Another machine finds the draft where drafts lie.
  await text(page).fill("Thứ Năm: đi cơ sở.");
  await page.getByText(/^Đã lưu nháp lúc/).waitFor();
  const other = await app.newPage(wide);
  await other.goto("/mail/drafts");
  await signIn(other, "an");
  await letter(other, /Nháp.*Kế hoạch tuần.*đi cơ sở/).waitFor();
  await expectAccessible(other);
  await screenshots(other, "mail-drafts");
  await letter(other, /Kế hoạch tuần/).click();
  expect(await text(other).inputValue()).toBe("Thứ Năm: đi cơ sở.");
  await other.getByRole("button", { name: "Bỏ thư này" }).click();
  await other.getByText("Đã bỏ thư vào Thùng rác").waitFor();
  await other.getByRole("button", { name: "Hoàn tác" }).click();
  await other.waitForURL(/compose/);
  await text(other).waitFor();
  expect(await text(other).inputValue()).toBe("Thứ Năm: đi cơ sở.");
  await other.context().close();
  await page.context().close();
});

it("shows mail of mail clients and other servers, and nothing in it acts", async () => {
  // A server of somebody's who would like to know who reads.
  const asked: { url: string; referer: string | undefined }[] = [];
  const spy = createServer((request, response) => {
    asked.push({ url: request.url ?? "", referer: request.headers.referer });
    response.writeHead(200, { "Content-Type": "image/svg+xml" }).end('<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="120" height="40" fill="#256b3c"/></svg>');
  }).listen(0, "127.0.0.1");
  await once(spy, "listening");
  const address = spy.address();
  if (address === null || typeof address === "string") throw new Error("no port");

  const page = await app.newPage(wide);
  await page.goto("/mail");
  await signIn(page, "chi");
  await list(page).getByRole("listitem").first().waitFor();
  await submit(app, "an", chi, ["--h-Subject", "=?utf-8?B?R+G7rWkgdOG7qyBUaHVuZGVyYmlyZA==?=", "--body", "Thu gui tu may khach"]);
  await letter(page, /Gửi từ Thunderbird/).waitFor(); // by itself
  const raw = path.join(dir, "hostile.eml");
  writeFileSync(raw, hostile(`http://127.0.0.1:${address.port}`));
  await fromOutside(app, "bantin@stttt.example", chi, ["--data", `@${raw}`]);
  await letter(page, /Bản tin chuyển đổi số/).click();

  const dialogs: string[] = [];
  page.on("dialog", (d) => {
    dialogs.push(d.message());
    void d.dismiss();
  });
  const frame = page.frameLocator('iframe[title="Nội dung thư"]');
  await frame.getByText("Chỉ số chuyển đổi số cấp tỉnh").waitFor();
  await page.getByText("Hình ảnh ở máy chủ bên ngoài chưa được tải").waitFor();
  // The picture that came with the mail is shown; its like elsewhere was not asked for.
  await expect.poll(() => frame.getByRole("img", { name: "Biểu trưng" }).evaluate((i) => (i as HTMLImageElement).naturalWidth)).toBe(1);
  expect(await frame.locator("script, form, input, iframe, object, link, [onerror], [onclick]").count()).toBe(0);
  expect(await frame.getByText("Bấm vào đây").getAttribute("href")).toBeNull(); // it was javascript:
  expect(asked).toEqual([]);
  expect(dialogs).toEqual([]);
  expect(await page.evaluate(() => "ran" in globalThis)).toBe(false);
  await expectAccessible(page);
  await screenshots(page, "mail-html");

  await page.getByRole("button", { name: "Hiện hình ảnh" }).click();
  await expect.poll(() => asked.length).toBe(1);
  expect(asked[0]).toEqual({ url: "/theo-doi.svg?ai=chi", referer: undefined });
  expect(dialogs).toEqual([]);
  spy.close();
  await page.context().close();
});

it("keeps mail for outside here, and shows what and for whom", async () => {
  const page = await app.newPage(wide);
  await page.goto(`/mail/compose?to=${chi}`);
  await signIn(page, "an");
  await to(page).fill("Bà Hoa <hoa.tran@vnexpo.example>, khach@xa.example,");
  await page.getByRole("textbox", { name: "Tiêu đề" }).fill("Giấy mời dự Hội nghị xúc tiến đầu tư");
  await text(page).fill("Trân trọng kính mời.");
  await page.getByRole("button", { name: "Gửi", exact: true }).click();
  await page.getByText("Đã gửi thư").waitFor();
  await folder(page, "Thư giữ lại").click();
  await list(page).getByText("Giấy mời dự Hội nghị xúc tiến đầu tư").waitFor();
  await list(page).getByText("Gửi đến: hoa.tran@vnexpo.example, khach@xa.example").waitFor();
  await expectAccessible(page);
  await screenshots(page, "mail-held");

  // Nobody of ours has this address: nothing is sent, everything stays.
  await page.goto("/mail/compose?to=khongco@hanoi.g2g.example");
  await page.getByRole("textbox", { name: "Tiêu đề" }).fill("Thử");
  await page.getByRole("button", { name: "Gửi", exact: true }).click();
  await page.getByText("Không có hộp thư khongco@hanoi.g2g.example.").waitFor();
  await expectAccessible(page);
  await page.context().close();
});

it("deletes with a way back, moves, finds, and goes through long lists", async () => {
  await deliver(app, Array.from({ length: 55 }, (_, i) => ({ from: "dung" as const, to: [binh], subject: `Văn bản đến số ${i + 1}`, text: `Trích yếu văn bản ${i + 1}` })));
  const page = await app.newPage(wide);
  await page.goto("/mail");
  await signIn(page, "binh");
  await letter(page, /Văn bản đến số 55/).click();
  await page.waitForURL(/\/mail\/inbox\/.+/);
  await page.getByRole("button", { name: "Xóa", exact: true }).click();
  await page.getByText("Đã chuyển vào Thùng rác").waitFor();
  await letter(page, /Văn bản đến số 55/).waitFor({ state: "detached" });
  await page.getByRole("article", { name: "Văn bản đến số 54" }).waitFor(); // the next one is shown
  await page.getByRole("button", { name: "Hoàn tác" }).click();
  await letter(page, /Văn bản đến số 55/).waitFor();

  await page.getByRole("button", { name: "Chuyển đến thư mục" }).click();
  await page.getByRole("menuitem", { name: "Lưu trữ" }).click();
  await page.getByText("Đã chuyển vào Lưu trữ").waitFor();
  await folder(page, "Lưu trữ").click();
  await letter(page, /Văn bản đến số 54/).waitFor();

  // Back goes back, and the address bar holds folder, message and words.
  await page.goBack();
  await page.waitForURL(/\/mail\/inbox/);
  await page.getByRole("searchbox", { name: "Tìm trong thư mục này" }).fill("trich yeu van ban 7");
  await letter(page, /Văn bản đến số 7\s*Trích/).click();
  await page.waitForURL(/\/mail\/inbox\/.+\?q=trich/);
  await page.reload();
  await page.getByRole("article", { name: "Văn bản đến số 7" }).waitFor();
  await expect.poll(() => list(page).getByRole("listitem").count()).toBe(5); // 7, 17, 27, 37 and 47
  await page.getByRole("searchbox").fill("không có gì");
  await page.getByText("Không có thư nào khớp với “không có gì”").waitFor();
  await expectAccessible(page);
  await page.getByRole("searchbox").fill("");

  // Only what is in sight is in the page; older messages come at the end.
  await letter(page, /Văn bản đến số 53/).focus();
  await page.keyboard.press("End");
  await expect.poll(async () => {
    await page.keyboard.press("End");
    return page.evaluate(() => document.activeElement?.textContent ?? "");
  }).toContain("Biên bản làm việc"); // of the morning's letters the first that Binh got
  expect(await list(page).getByRole("listitem").count()).toBeLessThan(45);

  await folder(page, "Thư rác").click();
  await page.getByText("Không có thư nào ở đây").waitFor();
  await expectAccessible(page);
  await screenshots(page, "mail-empty");
  await page.context().close();
});

it("says what is wrong: a list that does not load, a message that is gone", async () => {
  const page = await app.newPage(wide);
  await page.goto("/mail/inbox/00000000-0000-4000-8000-000000000000");
  await signIn(page, "chi");
  await page.getByText("Thư này không còn ở đây").waitFor();
  await expectAccessible(page);
  await page.route("**/api/v1/mail/mailboxes/**", (route) => route.fulfill({ status: 503, json: { code: "unavailable" } }));
  await page.reload();
  await page.getByText("Chưa tải được danh sách thư").waitFor();
  await expectAccessible(page);
  await screenshots(page, "mail-failed");
  await page.unroute("**/api/v1/mail/mailboxes/**");
  await page.getByRole("alert").filter({ hasText: "danh sách" }).getByRole("button", { name: "Thử lại" }).click();
  await list(page).getByRole("listitem").first().waitFor();
  await page.getByRole("button", { name: "English" }).click();
  await page.getByRole("navigation", { name: "Folders" }).getByRole("link", { name: "Inbox" }).waitFor();
  await page.context().close();
});
