import { type BrowserContextOptions, type Page } from "playwright-core";
import { test } from "vitest";
import { expectAccessible, signIn as signInAt, useServer, type Who } from "./harness";
import { keepConnections, seesAndHears } from "./media";

const title = "Giao ban liên cơ quan";
const app = useServer();

/** A person of the demo, signed in, in a window of her own. */
async function signIn(who: Who, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await app.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  await page.context().addInitScript(keepConnections);
  await signInAt(page, who);
  return page;
}

const enter = (page: Page) => page.getByRole("button", { name: "Vào họp", exact: true }).click();
const chiOf = (page: Page) => page.getByRole("listitem", { name: /Lê Thị Kim Chi/ });

test("an makes a meeting, chi of the other agency comes, and both outlive a restart of the server", async () => {
  const an = await signIn("an");
  const chi = await signIn("chi");
  await an.goto("/meetings");
  await an.getByRole("button", { name: "Cuộc họp mới" }).click();
  await an.getByLabel("Tên cuộc họp").fill(title);
  await an.getByRole("textbox", { name: "Mời" }).or(an.getByRole("combobox", { name: "Mời" })).first().fill("chi");
  await an.getByRole("option").first().click();
  await an.getByRole("button", { name: "Tạo và vào họp" }).click();
  await an.getByRole("button", { name: "Vào họp", exact: true }).waitFor();
  await expectAccessible(an);
  await enter(an);

  await chi.goto("/meetings");
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

  await app.stop("SIGKILL");
  await an.getByText(/Đang kết nối lại|tự vào lại/).first().waitFor();
  await app.start();
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
  const page = await signIn("binh");
  // The browser's own answers; the fake devices of the test always work.
  await page.evaluate((error) => sessionStorage.setItem("refuse", error), name);
  await page.context().addInitScript(() => {
    const error = sessionStorage.getItem("refuse");
    if (error) navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("refused by the test", error));
    navigator.permissions.query = () => Promise.reject(new TypeError("unknown name"));
  });
  await page.goto("/meetings");
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
