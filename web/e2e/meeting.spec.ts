import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible } from "./harness";
import { DemoServer } from "./meeting-server";

const title = "Giao ban liên cơ quan";
let server: DemoServer;
let browser: Browser;

beforeAll(async () => {
  server = await DemoServer.start();
  browser = await chromium.launch({
    executablePath: process.env["E2E_CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection", "--no-sandbox"],
  });
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await server?.stop();
}, 30_000);

/** A person of the demo, signed in, in a window of her own. */
async function signIn(login: string, init?: () => void, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "vi-VN", ...options });
  await context.addInitScript(() => {
    const all: RTCPeerConnection[] = [];
    const Native = RTCPeerConnection;
    window.RTCPeerConnection = class extends Native {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        all.push(this);
      }
    };
    Reflect.set(window, "connections", all);
  });
  if (init) await context.addInitScript(init);
  const page = await context.newPage();
  await page.goto(`${server.url}/sign-in`);
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(login);
  await page.getByLabel("Mật khẩu", { exact: true }).fill("commsd-demo-only");
  await page.getByRole("button", { name: "Đăng nhập", exact: true }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
  return page;
}

/** Frames decoded and bytes of sound heard, over the connections that stand. */
function received(page: Page): Promise<{ frames: number; sound: number }> {
  return page.evaluate(async () => {
    let frames = 0;
    let sound = 0;
    for (const connection of Reflect.get(window, "connections") as RTCPeerConnection[]) {
      if (connection.connectionState !== "connected") continue;
      for (const report of (await connection.getStats()).values() as Iterable<Record<string, unknown>>) {
        if (report["type"] !== "inbound-rtp") continue;
        if (report["kind"] === "video") frames += Number(report["framesDecoded"] ?? 0);
        else sound += Number(report["bytesReceived"] ?? 0);
      }
    }
    return { frames, sound };
  });
}

async function seesAndHears(page: Page): Promise<void> {
  const before = await received(page);
  await expect.poll(async () => (await received(page)).frames, { timeout: 20_000 }).toBeGreaterThan(before.frames + 5);
  await expect.poll(async () => (await received(page)).sound, { timeout: 20_000 }).toBeGreaterThan(before.sound + 500);
}

const enter = (page: Page) => page.getByRole("button", { name: "Vào họp", exact: true }).click();
const chiOf = (page: Page) => page.getByRole("listitem", { name: /Lê Thị Kim Chi/ });

test("an makes a meeting, chi of the other agency comes, and both outlive a restart of the server", async () => {
  const an = await signIn("an@noivu.g2g.example");
  const chi = await signIn("chi@hanoi.g2g.example");
  await an.goto(`${server.url}/meetings`);
  await an.getByRole("button", { name: "Cuộc họp mới" }).click();
  await an.getByLabel("Tên cuộc họp").fill(title);
  await an.getByRole("textbox", { name: "Mời" }).or(an.getByRole("combobox", { name: "Mời" })).first().fill("chi");
  await an.getByRole("option").first().click();
  await an.getByRole("button", { name: "Tạo và vào họp" }).click();
  await an.getByRole("button", { name: "Vào họp", exact: true }).waitFor();
  await expectAccessible(an);
  await enter(an);

  await chi.goto(`${server.url}/meetings`);
  await chi.getByRole("link", { name: title, exact: true }).waitFor();
  await chi.getByRole("link", { name: title, exact: true }).click();
  await enter(chi);
  await chiOf(an).waitFor();
  await seesAndHears(an);
  await seesAndHears(chi);
  await expectAccessible(an);

  await chi.keyboard.press("m");
  await chiOf(an).getByRole("img", { name: "Micro tắt" }).waitFor();
  await chi.keyboard.press("m");
  await chiOf(an).getByRole("img", { name: "Micro tắt" }).waitFor({ state: "detached" });

  await server.down("SIGKILL");
  await an.getByText(/Đang kết nối lại|tự vào lại/).first().waitFor();
  await server.up();
  await chiOf(an).waitFor({ timeout: 60_000 });
  await seesAndHears(an);
  await seesAndHears(chi);

  await chi.getByRole("button", { name: "Rời cuộc họp" }).click();
  await chi.getByText("Bạn đã rời cuộc họp").waitFor();
  await chiOf(an).waitFor({ state: "detached" });
  await Promise.all([an.context().close(), chi.context().close()]);
}, 150_000);

test.each([
  ["NotAllowedError", "Trình duyệt chưa cho phép dùng micro", "Trình duyệt chưa cho phép dùng camera"],
  ["NotReadableError", "Micro đang được chương trình khác dùng", "Camera đang được chương trình khác dùng"],
  ["NotFoundError", "Không tìm thấy micro", "Không tìm thấy camera"],
])("devices that answer %s are told of, and one joins all the same", async (name, mic, camera) => {
  const page = await signIn("binh@noivu.g2g.example");
  // The browser's own answers; the fake devices of the test always work.
  await page.evaluate((error) => sessionStorage.setItem("refuse", error), name);
  await page.context().addInitScript(() => {
    const error = sessionStorage.getItem("refuse");
    if (error) navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("refused by the test", error));
    navigator.permissions.query = () => Promise.reject(new TypeError("unknown name"));
  });
  await page.goto(`${server.url}/meetings`);
  await page.getByRole("button", { name: "Họp ngay" }).click();
  await page.waitForURL(/\/meetings\/.+/);
  await page.reload();
  await page.getByText(mic).waitFor();
  await page.getByText(camera).waitFor();
  await page.getByText("Bạn vẫn vào họp được").waitFor();
  await enter(page);
  await page.getByText("Chỉ có bạn trong phòng").waitFor();
  await page.context().close();
}, 60_000);
