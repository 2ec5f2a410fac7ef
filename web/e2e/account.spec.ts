import { execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect } from "node:tls";
import type { Page } from "playwright-core";
import { beforeAll, expect, it } from "vitest";
import { hand } from "./content";
import { addAuthenticator, expectAccessible, freePort, password, people, signIn, useServer, type Who } from "./harness";

const provider = `127.0.0.1:${await freePort()}`;
const app = useServer({
  env: {
    COMMSD_SIGN_IN_PROVIDERS: `[{id: hanoi, name: Cổng UBND TP Hà Nội, issuer: "http://${provider}", client_id: commsd, domains: [hanoi.g2g.example]}]`,
    COMMSD_SIGN_IN_PROVIDER_SECRETS: "{hanoi: provider-secret}",
  },
});
const shots = path.join(import.meta.dirname, "..", "..", "artifacts", "screenshots", "account");
beforeAll(() => void mkdirSync(shots, { recursive: true }));

/** Pictures at a phone's and a desk's width, light and dark; nothing for axe in either, nothing too wide. */
async function look(page: Page, name: string): Promise<void> {
  const before = page.viewportSize();
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const [width, height] of [[390, 844], [1280, 800]] as const) {
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: path.join(shots, `${name}-${scheme}-${width}.png`) });
      await expectAccessible(page, { where: `${name}, ${scheme}, ${width} wide`, rule: scheme === "dark" ? "color-contrast" : undefined });
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), `${name} is wider than a window of ${width}`).toBeLessThanOrEqual(0);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  if (before) await page.setViewportSize(before);
}

/** The code of an authenticator app (RFC 6238: SHA-1, six digits, 30 seconds), some steps from now. */
function totp(secret: string, ahead = 0): string {
  const bits = [...secret.replaceAll(" ", "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g)?.map((b) => parseInt(b, 2)) ?? []);
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const mac = createHmac("sha1", key).update(step).digest();
  return String((mac.readUInt32BE((mac.at(-1) ?? 0) & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

async function account(page: Page, who: Who, section = ""): Promise<void> {
  await page.goto(`/account${section && `/${section}`}`);
  await signIn(page, who);
  await page.getByRole("heading", { level: 1, name: "Tài khoản của tôi" }).waitFor();
}

async function signOut(page: Page): Promise<void> {
  await page.getByRole("button", { name: /^Tài khoản của/ }).click();
  await page.getByRole("button", { name: "Đăng xuất" }).click();
  await page.getByRole("heading", { name: "Đăng nhập" }).waitFor();
}

async function typePassword(page: Page, who: Who, words = password): Promise<void> {
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(people[who]);
  await page.getByLabel("Mật khẩu", { exact: true }).fill(words);
  await page.getByRole("button", { name: "Đăng nhập", exact: true }).click();
}

/** How an IMAP server answers a login over TLS: "OK" or "NO". */
async function imapLogin(login: string, secret: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: app.mail.imaps, rejectUnauthorized: false });
  let said = "";
  socket.on("data", (b: Buffer) => (said += b.toString()));
  const until = async (sign: RegExp): Promise<RegExpExecArray> => {
    for (let m = sign.exec(said); ; m = sign.exec(said)) {
      if (m) return m;
      await once(socket, "data");
    }
  };
  await until(/^\* OK.*\r\n/);
  socket.write(`a LOGIN "${login}" "${secret}"\r\n`);
  const answer = await until(/^a (OK|NO|BAD)\b.*\r\n/m);
  socket.destroy();
  return answer[1] ?? "";
}

it("keeps one's telephone and photo, which a colleague sees", async () => {
  const page = await app.newPage();
  await account(page, "binh");
  await page.getByLabel("Điện thoại di động", { exact: true }).fill("0912 345 678");
  await page.getByRole("button", { name: "Lưu", exact: true }).click();
  await page.getByText("Đã lưu").waitFor();
  await page.getByRole("button", { name: "Thêm ảnh" }).click();
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Chọn ảnh" }).click();
  await (await chooser).setFiles({ name: "chan-dung.png", mimeType: "image/png", buffer: await page.screenshot() });
  await page.getByRole("application", { name: "Khung ảnh vuông" }).press("ArrowLeft");
  await look(page, "photo");
  await page.getByRole("button", { name: "Lưu ảnh" }).click();
  await page.getByRole("img", { name: "Ảnh của Trần Thanh Bình" }).waitFor();
  await page.getByRole("banner").locator('img[src*="/photo"]').waitFor(); // the header's too
  await look(page, "profile");
  const an = await app.newPage();
  await signIn(an, "an");
  await an.goto("/directory?q=thanh+binh");
  await an.getByRole("link", { name: /Trần Thanh Bình/ }).click();
  const card = an.getByRole("region", { name: "Thông tin người được chọn" });
  await card.getByText("0912 345 678").waitFor();
  await expect.poll(() => card.locator("img").evaluateAll((all) => all.map((img) => (img as HTMLImageElement).naturalWidth > 0))).toEqual([true]);
  await Promise.all([page, an].map((p) => p.context().close()));
});

it("lends a position to a colleague, who works in it until it is taken back", async () => {
  const page = await app.newPage();
  await account(page, "binh", "delegations");
  await page.getByText("Bạn chưa ủy quyền vị trí nào.").waitFor();
  await page.getByRole("button", { name: "Ủy quyền" }).click();
  const dialog = page.getByRole("dialog", { name: "Ủy quyền" });
  await dialog.getByRole("textbox", { name: "Người nhận" }).fill("van an");
  await page.getByRole("option", { name: /Nguyễn Văn An/ }).first().click();
  await dialog.getByText(/^Có hiệu lực từ /).waitFor();
  await dialog.getByRole("checkbox", { name: "thư" }).uncheck();
  await look(page, "lend");
  await dialog.getByRole("button", { name: "Ủy quyền" }).click();
  const given = page.getByRole("list", { name: "Đã ủy quyền cho người khác" });
  await given.getByText("Nguyễn Văn An").waitFor();
  await given.getByText("đang có hiệu lực").waitFor();
  await look(page, "delegations");

  const an = await app.newPage({ viewport: { width: 1280, height: 800 } });
  await signIn(an, "an");
  const takeLent = async () => {
    await an.getByRole("button", { name: "Đổi vị trí" }).click();
    await expectAccessible(an);
    await an.getByRole("button", { name: /ủy quyền của Trần Thanh Bình.*Được ủy quyền về: cuộc họp, tin nhắn, văn bản/ }).click();
    await an.getByRole("banner").getByText(/ủy quyền của Trần Thanh Bình/).waitFor();
  };
  await takeLent();
  // What is done is done in that position, and what it was not lent for is refused.
  await an.goto("/meetings");
  await an.getByRole("button", { name: "Họp ngay" }).click();
  await an.getByRole("button", { name: "Vào họp", exact: true }).waitFor();
  const lent = await an.evaluate(() => sessionStorage.getItem("commsd.position"));
  const log = await (await hand(app, "kiemtoan")).api<{ events: { action: string; position_id: string }[] }>("get", "/api/v1/audit/events?action=meeting.create");
  expect(log.events.map((e) => e.position_id)).toEqual([lent]);
  await an.goto("/mail");
  await an.getByRole("heading", { level: 1, name: "Vị trí này không được ủy quyền về thư" }).waitFor();
  await look(an, "not-lent");
  await an.getByRole("button", { name: "Dùng vị trí của tôi" }).click();
  await an.getByRole("searchbox", { name: "Tìm trong thư mục này" }).waitFor();
  await takeLent();

  await given.getByRole("button", { name: "Thu hồi ủy quyền cho Nguyễn Văn An" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Thu hồi" }).click();
  await given.getByText("đã hết").waitFor();
  await an.getByRole("navigation", { name: "Các phần" }).getByRole("link", { name: "Danh bạ" }).click();
  await an.getByText("Vị trí đã chọn hết hiệu lực hoặc đã được thu hồi.", { exact: false }).waitFor();
  await an.getByRole("banner").getByText(/ủy quyền của/).waitFor({ state: "detached" });
  await Promise.all([page, an].map((p) => p.context().close()));
});

it("lets an administrator in with a second factor alone, which is set up on the way", async () => {
  const [admin, binh] = await Promise.all([hand(app, "admin"), hand(app, "binh")]);
  const { positions } = await binh.api<{ positions: { unit_id: string; agency_id: string }[] }>("get", "/api/v1/sessions/current");
  const login = "hanh@noivu.g2g.example";
  const { id } = await admin.api<{ id: string }>("post", "/api/v1/directory/people", {
    family_name: "Vũ", given_name: "Hạnh", address: login, position: { unit_id: positions[0]?.unit_id, title: "Chuyên viên" },
  });
  await admin.api("post", `/api/v1/directory/people/${id}/account`);
  await admin.api("post", "/api/v1/directory/admin-grants", { person_id: id, role: "agency_admin", agency_id: positions[0]?.agency_id });
  const { code } = await admin.api<{ code: string }>("post", `/api/v1/directory/people/${id}/codes`, {});
  const page = await app.newPage();
  await page.goto("/sign-in");
  await page.getByRole("link", { name: "Tôi có mã mời hoặc mã đặt lại" }).click();
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(login);
  await page.getByLabel("Mã", { exact: true }).fill(code);
  await page.keyboard.press("Enter");
  const words = "một chiều mưa bên bến sông xưa";
  await page.getByLabel("Mật khẩu mới", { exact: true }).fill(words);
  await page.getByLabel("Nhập lại mật khẩu mới").fill(words);
  await page.getByRole("button", { name: "Đặt mật khẩu" }).click();
  await page.getByRole("heading", { name: "Cài xác thực hai lớp" }).waitFor();
  await page.getByRole("button", { name: "Thêm khóa truy cập" }).waitFor();
  await look(page, "sign-in-enroll");
  expect((await page.request.get("/api/v1/account")).status()).toBe(401); // not in yet
  await page.getByRole("button", { name: "Cài ứng dụng xác thực" }).click();
  const secret = (await page.locator("code").textContent()) ?? "";
  await expectAccessible(page);
  await page.getByLabel("Mã sáu chữ số").fill(totp(secret));
  await page.getByRole("button", { name: "Xác nhận" }).click();
  await page.getByRole("list", { name: "Các mã dự phòng" }).getByRole("listitem").first().waitFor();
  await page.getByRole("checkbox", { name: "Tôi đã cất giữ các mã này" }).check();
  await page.getByRole("button", { name: "Vào làm việc" }).click();
  await page.getByRole("navigation", { name: "Các phần" }).getByRole("link", { name: "Quản trị" }).waitFor();
  await signOut(page);
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(login);
  await page.getByLabel("Mật khẩu", { exact: true }).fill(words);
  await page.keyboard.press("Enter");
  await page.getByLabel("Mã sáu chữ số").fill(totp(secret, 1));
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Tài khoản của Vũ Hạnh" }).waitFor();
  await Promise.all([page, admin.page, binh.page].map((p) => p.context().close()));
});

it("sets up an authenticator, signs in by its code, and by a recovery code when the phone is lost", async () => {
  const page = await app.newPage();
  await account(page, "an", "security");
  await look(page, "security");
  await page.getByRole("button", { name: "Cài ứng dụng xác thực" }).click();
  const dialog = page.getByRole("dialog", { name: "Cài ứng dụng xác thực" });
  const secret = (await dialog.locator("code").textContent()) ?? "";
  await dialog.getByRole("img", { name: /^Mã QR/ }).waitFor();
  expect(await dialog.getByRole("img", { name: /^Mã QR/ }).evaluate((img: HTMLImageElement) => img.naturalWidth)).toBeGreaterThan(0);
  await look(page, "totp-setup");
  await dialog.getByLabel("Mã sáu chữ số").fill(totp(secret));
  await dialog.getByRole("button", { name: "Xác nhận" }).click();
  await page.getByText("Đã cài ứng dụng xác thực").waitFor();

  await page.getByRole("button", { name: "Tạo mã dự phòng" }).click();
  const codes = page.getByRole("list", { name: "Các mã dự phòng" }).getByRole("listitem");
  await codes.first().waitFor();
  expect(await codes.count()).toBe(10);
  const spare = (await codes.nth(3).textContent()) ?? "";
  await look(page, "recovery-codes");
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Tải xuống" }).click();
  expect((await saved).suggestedFilename()).toBe("ma-du-phong.txt");
  await page.getByRole("checkbox", { name: "Tôi đã cất giữ các mã này" }).check();
  await page.getByRole("button", { name: "Xong" }).click();
  await page.getByText(/^Còn 10 mã chưa dùng/).waitFor();
  await signOut(page);

  await typePassword(page, "an");
  await page.getByRole("heading", { name: "Xác thực hai lớp" }).waitFor();
  await look(page, "sign-in-totp");
  // The browser's own Back leads to the password, its login kept.
  await page.goBack();
  await page.getByLabel("Mật khẩu", { exact: true }).waitFor();
  expect(await page.getByLabel("Tên đăng nhập", { exact: true }).inputValue()).toBe(people.an);
  await typePassword(page, "an");
  await page.getByLabel("Mã sáu chữ số").fill("000000");
  await page.getByRole("button", { name: "Xác nhận" }).click();
  await page.getByRole("alert").getByText(/^Mã chưa đúng hoặc đã dùng rồi/).waitFor();
  await page.getByLabel("Mã sáu chữ số").fill(totp(secret, 1).replace(/(...)/, "$1 "));
  await page.keyboard.press("Enter");
  await page.getByRole("navigation").first().waitFor();
  await signOut(page);

  await typePassword(page, "an");
  await page.getByRole("button", { name: "Dùng mã dự phòng" }).click();
  await page.getByLabel("Mã dự phòng", { exact: true }).fill(spare.toLowerCase().replaceAll("-", " "));
  await page.keyboard.press("Enter");
  await page.getByRole("navigation").first().waitFor();
  await page.goto("/account/security");
  await page.getByText(/^Còn 9 mã chưa dùng/).waitFor();
  await page.context().close();
});

it("registers a passkey, and signs in by it alone", async () => {
  const page = await app.newPage();
  await addAuthenticator(page);
  // At first without passkeys among the login's suggestions, which this authenticator would choose by itself.
  await page.addInitScript(() => (PublicKeyCredential.isConditionalMediationAvailable = () => Promise.resolve(false)));
  await account(page, "binh", "security");
  await page.getByRole("button", { name: "Thêm khóa truy cập" }).click();
  await page.getByLabel("Tên thiết bị").fill("Máy tính ở Vụ");
  await page.getByRole("button", { name: "Tạo khóa" }).click();
  const list = page.getByRole("list", { name: "Khóa truy cập (passkey)" });
  await list.getByText("Máy tính ở Vụ").waitFor();
  await list.getByRole("button", { name: "Đổi tên Máy tính ở Vụ" }).click();
  await page.getByLabel("Tên thiết bị").fill("Máy tính phòng 204");
  await page.getByRole("button", { name: "Lưu" }).click();
  await list.getByText("Máy tính phòng 204").waitFor();
  await signOut(page);

  await page.getByRole("button", { name: "Dùng khóa truy cập (passkey)" }).click();
  await page.getByRole("button", { name: "Tài khoản của Trần Thanh Bình" }).waitFor();
  await page.getByRole("button", { name: /^Tài khoản của/ }).click();
  await page.evaluate(() => (PublicKeyCredential.isConditionalMediationAvailable = () => Promise.resolve(true)));
  const entered = page.waitForResponse((r) => r.url().endsWith("/api/v1/sessions/passkey") && r.status() === 201);
  await page.getByRole("button", { name: "Đăng xuất" }).click();
  await entered;
  await page.getByRole("button", { name: "Tài khoản của Trần Thanh Bình" }).waitFor(); // chosen, as from the field's suggestions
  await page.goto("/account/security");
  await list.getByText(/dùng lần cuối vừa xong/).waitFor();
  await list.getByRole("button", { name: "Gỡ bỏ Máy tính phòng 204" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Gỡ bỏ" }).click();
  await page.getByText("Chưa có khóa truy cập nào.").waitFor();
  await page.context().close();
});

it("makes an app password that a mail program signs in by, until it is revoked", async () => {
  const page = await app.newPage();
  await account(page, "dung", "security");
  await page.getByRole("button", { name: "Tạo mật khẩu" }).click();
  await page.getByLabel("Dùng cho").fill("Thunderbird ở Văn phòng");
  await page.getByRole("dialog").getByRole("button", { name: "Tạo mật khẩu" }).click();
  const dialog = page.getByRole("dialog", { name: "Mật khẩu cho “Thunderbird ở Văn phòng”" });
  const secret = (await dialog.getByLabel("Mật khẩu ứng dụng").textContent()) ?? "";
  await dialog.getByText(`cổng ${app.mail.imaps}`).waitFor();
  await look(page, "app-password");
  await dialog.getByRole("button", { name: "Xong" }).click();
  expect(await imapLogin(people.dung, secret)).toBe("OK");
  expect(await imapLogin(people.chi, secret)).toBe("NO");

  await page.reload();
  const list = page.getByRole("list", { name: "Mật khẩu ứng dụng" });
  await list.getByText(/dùng lần cuối vừa xong/).waitFor();
  await list.getByRole("button", { name: "Thu hồi mật khẩu của Thunderbird ở Văn phòng" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Thu hồi" }).click();
  await page.getByText("Chưa có mật khẩu ứng dụng nào.").waitFor();
  expect(await imapLogin(people.dung, secret)).toBe("NO");
  await page.context().close();
});

it("lists one's sessions, and ends another browser's at once", async () => {
  const other = await app.newPage();
  await other.goto("/chat");
  await signIn(other, "chi");
  await other.getByRole("heading", { level: 1 }).waitFor();
  const page = await app.newPage({ userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0" });
  await account(page, "chi", "sessions");
  const list = page.getByRole("list", { name: "Đang đăng nhập" }).getByRole("listitem");
  await list.first().getByText("Firefox trên Windows").waitFor();
  await list.first().getByText("phiên này").waitFor();
  expect(await list.count()).toBe(2);
  await look(page, "sessions");
  await list.nth(1).getByRole("button", { name: /^Kết thúc phiên Chrome trên Linux/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Kết thúc" }).click();
  await other.getByText("Phiên làm việc đã kết thúc").waitFor(); // by itself: nobody touched it
  expect(await list.count()).toBe(1);
  await page.context().close();
  await other.context().close();
});

it("lets in by an administrator's code, and asks for a new password by rules", async () => {
  const admin = await hand(app, "admin");
  const chi = await hand(app, "chi");
  const { code } = await admin.api<{ code: string }>("post", `/api/v1/directory/people/${chi.id}/codes`, {});
  const page = await app.newPage();
  await page.goto("/sign-in");
  await page.getByRole("link", { name: "Tôi có mã mời hoặc mã đặt lại" }).click();
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(people.chi);
  await page.getByLabel("Mã", { exact: true }).fill("AAAA-BBBB-CCCC-DDDD");
  await page.getByRole("button", { name: "Tiếp tục" }).click();
  await page.getByRole("alert").getByText(/mã đã hết hạn/).waitFor();
  await look(page, "sign-in-code");
  await page.getByLabel("Mã", { exact: true }).fill(code.toLowerCase());
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Đặt mật khẩu mới" }).waitFor();
  await page.getByText("Ít nhất 15 ký tự").waitFor();
  await page.getByLabel("Mật khẩu mới", { exact: true }).fill("ngắn quá");
  await look(page, "sign-in-password");
  const words = "con đường làng rợp bóng tre";
  await page.getByLabel("Mật khẩu mới", { exact: true }).fill(words);
  await page.getByLabel("Nhập lại mật khẩu mới").fill(words);
  await page.getByRole("button", { name: "Đặt mật khẩu" }).click();
  await page.getByRole("button", { name: "Tài khoản của Lê Thị Kim Chi" }).waitFor();
  await signOut(page);
  await typePassword(page, "chi", words);
  await page.getByRole("navigation").first().waitFor();

  // And once more by the account's own page: the old password stands first.
  await page.goto("/account/security");
  await page.getByRole("button", { name: "Đổi mật khẩu" }).click();
  await page.getByLabel("Mật khẩu hiện tại").fill("không phải");
  await page.getByLabel("Mật khẩu mới", { exact: true }).fill("một bài thơ khác hẳn bài kia");
  await page.getByLabel("Nhập lại mật khẩu mới").fill("một bài thơ khác hẳn bài kia");
  await page.getByRole("dialog").getByRole("button", { name: "Đổi mật khẩu" }).click();
  await page.getByText("Mật khẩu chưa đúng").waitFor();
  await page.getByLabel("Mật khẩu hiện tại").fill(words);
  await page.getByRole("dialog").getByRole("button", { name: "Đổi mật khẩu" }).click();
  await page.getByText("Đã đổi mật khẩu").waitFor();
  await page.context().close();
});

it("signs in at an outside provider, back to where one was going, and says whom it does not know", async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "commsd-e2e-provider-"));
  const program = path.join(dir, "provider");
  execFileSync("go", ["build", "-o", program, "./cmd/provider"], { cwd: path.join(import.meta.dirname, "..", "..", "directory", "oidc", "contract") });
  const there = spawn(
    program,
    ["-listen", provider, "-secret", "provider-secret", "-redirect", `${app.url}/api/v1/sessions/oidc/hanoi/callback`, people.dung, "la@hanoi.g2g.example"],
    { stdio: ["pipe", "ignore", "inherit"] }, // it ends when its input does
  );
  const ended = once(there, "exit");
  await expect.poll(() => fetch(`http://${provider}/.well-known/openid-configuration`).then((r) => r.ok, () => false)).toBe(true);
  /** To the provider's own page and through it. */
  const through = async (page: Page, login: string) => {
    await page.getByLabel("Tên đăng nhập", { exact: true }).fill(login);
    await page.getByRole("link", { name: "Tiếp tục với Cổng UBND TP Hà Nội" }).click();
    await page.getByLabel("Username:").fill(login);
    await page.getByLabel("Password:").fill("provider-password");
    await page.getByRole("button", { name: "Login" }).click();
  };
  const [page, stranger] = await Promise.all([app.newPage(), app.newPage()]);
  await page.goto("/chat");
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(people.dung);
  await page.getByRole("link", { name: "Tiếp tục với Cổng UBND TP Hà Nội" }).waitFor();
  await look(page, "sign-in-provider");
  await through(page, people.dung);
  await page.getByRole("button", { name: "Tài khoản của Phạm Anh Dũng" }).waitFor();
  expect(new URL(page.url()).href).toBe(`${app.url}/chat`);
  await stranger.goto("/sign-in");
  await through(stranger, "la@hanoi.g2g.example");
  await stranger.getByRole("alert").getByText("Chưa đăng nhập được qua Cổng UBND TP Hà Nội").waitFor();
  expect(stranger.url()).toBe(`${app.url}/sign-in`);
  await expectAccessible(stranger);
  await Promise.all([page, stranger].map((p) => p.context().close()));
  there.stdin.end();
  await ended;
  rmSync(dir, { recursive: true });
});
