import { type Page } from "playwright-core";
import { expect, test } from "vitest";
import { expectAccessible, screenshots, signIn, useServer } from "./harness";

const app = useServer();

const enter = (page: Page) => page.getByRole("button", { name: "Vào họp", exact: true }).click();
const region = (page: Page, name: string | RegExp) => page.getByRole("region", { name });

/** Runs in a page before its scripts: it asks for nothing by the clock, and knows only what it is told. */
function stopAsking(): void {
  const { setInterval, setTimeout } = window;
  const never = 2 ** 31 - 1; // the longest there is
  const late = (ms = 0) => (ms < 5_000 ? ms : never);
  window.setInterval = ((run: () => void, ms?: number) => setInterval(run, late(ms))) as typeof window.setInterval;
  window.setTimeout = ((run: () => void, ms?: number) => setTimeout(run, late(ms))) as typeof window.setTimeout;
}

async function make(page: Page, body: object): Promise<string> {
  const answer = await page.request.post("/api/v1/meetings", { data: body, headers: { Origin: app.url } });
  return ((await answer.json()) as { id: string }).id;
}

async function personOf(page: Page): Promise<string> {
  const answer = await page.request.get("/api/v1/sessions/current");
  return ((await answer.json()) as { person: { id: string } }).person.id;
}

test("lists, the day and the door show at once who comes and goes, and that a meeting ended", async () => {
  const [an, chi, today, door] = await Promise.all([app.newPage(), app.newPage(), app.newPage(), app.newPage()]);
  for (const page of [chi, today, door]) await page.addInitScript(stopAsking);
  await Promise.all([signIn(an, "an"), signIn(chi, "chi"), signIn(today, "chi"), signIn(door, "chi")]);
  const id = await make(an, { title: "Họp tổ công tác", invite: [await personOf(chi)] });
  await chi.goto("/meetings");
  await region(chi, "Sắp tới").getByText("Không có ai trong phòng").waitFor();
  await region(today, /^Cuộc họp/).getByRole("link", { name: /Họp tổ công tác.*Không có ai/ }).waitFor();
  await door.goto(`/meetings/${id}`);
  await door.getByText("Chưa có ai trong phòng").waitFor();

  await an.goto(`/meetings/${id}`);
  await enter(an);
  await an.getByText("Chỉ có bạn trong phòng").waitFor();
  await region(chi, "Đang họp").getByText("Đang có 1 người").waitFor();
  await region(today, /^Cuộc họp/).getByRole("list", { name: "Đang họp" }).getByText("Đang có 1 người").waitFor();
  await door.getByText("Đang trong phòng: Nguyễn Văn An").waitFor();
  await expectAccessible(chi);
  await screenshots(chi, "meeting-list-running");
  await screenshots(today, "today-running");

  await an.getByRole("button", { name: "Rời cuộc họp" }).click();
  await region(chi, "Sắp tới").getByText("Không có ai trong phòng").waitFor();
  await door.getByText("Chưa có ai trong phòng").waitFor();

  // Ended with nobody inside: no coming or going says so.
  await an.request.post(`/api/v1/meetings/${id}/end`, { data: {}, headers: { Origin: app.url } });
  await region(chi, "Đã qua").getByText("Họp tổ công tác").waitFor();
  await chi.getByRole("link", { name: "Vào họp: Họp tổ công tác" }).waitFor({ state: "detached" });
  await door.getByRole("heading", { name: "Cuộc họp đã kết thúc" }).waitFor();
  await region(today, /^Cuộc họp/).getByRole("link", { name: /Họp tổ công tác/ }).waitFor({ state: "detached" });
  await Promise.all([an, chi, today, door].map((page) => page.context().close()));
});

test("a meeting's link is copied, and opens the meeting to whom it was sent", async () => {
  const [an, chi] = await Promise.all([app.newPage(), app.newPage()]);
  await Promise.all([signIn(an, "an"), signIn(chi, "chi")]);
  await an.goto("/meetings");
  await an.getByRole("button", { name: "Họp ngay" }).click();
  await an.getByRole("button", { name: "Chép liên kết" }).click();
  await an.getByText("Đã chép liên kết").first().waitFor();
  const link = await an.evaluate(() => navigator.clipboard.readText());
  expect(link).toBe(an.url());
  await enter(an);
  await an.getByText("Chỉ có bạn trong phòng").waitFor();

  await chi.goto(link);
  await enter(chi);
  await an.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).waitFor();

  // From the call's own menu, too; whose words nothing covers.
  await an.evaluate(() => navigator.clipboard.writeText(""));
  const more = an.getByRole("toolbar").getByRole("button", { name: "Thêm" });
  await more.hover();
  await an.getByRole("tooltip", { name: "Thêm" }).waitFor();
  await more.click();
  const end = an.getByRole("menuitem", { name: "Kết thúc cho mọi người" });
  await end.waitFor();
  await an.getByRole("tooltip", { name: "Thêm" }).waitFor({ state: "detached" });
  expect(await more.getAttribute("aria-expanded")).toBe("true");
  expect(await end.evaluate((e) => getComputedStyle(e).color)).toBe(
    await end.evaluate((e) => {
      const probe = document.createElement("i");
      probe.style.color = "var(--commsd-bad)";
      e.ownerDocument.body.append(probe);
      const { color } = getComputedStyle(probe);
      probe.remove();
      return color;
    }),
  );
  await an.getByRole("menuitem", { name: "Chép liên kết" }).click();
  await expect.poll(() => an.evaluate(() => navigator.clipboard.readText())).toBe(link);
  await Promise.all([an.context().close(), chi.context().close()]);
});

test("on a phone nothing lies over the words of the door, and the code's field has the whole line", async () => {
  const page = await app.newPage({ viewport: { width: 390, height: 844 } });
  await page.addInitScript(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("refused by the test", "NotAllowedError"));
    navigator.permissions.query = () => Promise.reject(new TypeError("unknown name"));
  });
  await signIn(page, "binh");
  await page.goto("/meetings");
  const field = page.getByRole("textbox", { name: "Vào bằng liên kết hoặc mã cuộc họp" });
  const label = page.getByText("Vào bằng liên kết hoặc mã cuộc họp");
  expect((await field.boundingBox())?.width).toBeGreaterThan(300);
  expect((await label.boundingBox())?.height).toBeLessThan(30); // one line

  await page.goto(`/meetings/${await make(page, { title: "Họp" })}`);
  const words = page.getByText("Camera đang tắt", { exact: true });
  for (const width of [390, 360, 320]) {
    await page.setViewportSize({ width, height: 844 });
    const [text, button] = await Promise.all([words.boundingBox(), region(page, "Hình của bạn").getByRole("button", { name: "Bật camera" }).boundingBox()]);
    expect((text?.y ?? 0) + (text?.height ?? 0), `${width} px`).toBeLessThanOrEqual((button?.y ?? 0) - 16);
  }
  await page.context().close();
});
