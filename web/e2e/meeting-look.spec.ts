import { type Page } from "playwright-core";
import { test } from "vitest";
import { expectAccessible, screenshots, signIn, useServer } from "./harness";

const app = useServer();

async function keep(page: Page, name: string): Promise<void> {
  await expectAccessible(page);
  await screenshots(page, name);
}

const post = (page: Page, path: string, body: unknown) => page.request.post(path, { data: body, headers: { Origin: app.url } });

test("every page and state of meetings can be shown, and axe finds nothing", async () => {
  const page = await app.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  const chi = await app.newPage();
  await Promise.all([signIn(page, "binh"), signIn(chi, "chi")]);
  await page.goto("/meetings");
  await page.getByText("Chưa có cuộc họp nào", { exact: true }).waitFor();
  await keep(page, "meeting-empty");
  const meetings = await Promise.all(
    [
      { title: "Giao ban tuần" },
      {
        title: "Thẩm định dự thảo Nghị định về quản lý, kết nối và chia sẻ dữ liệu số của cơ quan nhà nước giai đoạn 2026–2030",
        starts_at: new Date(Date.now() + 26 * 3_600_000).toISOString(),
      },
      { title: "Sơ kết quý III" },
    ].map(async (body) => (await (await post(page, "/api/v1/meetings", body)).json()) as { id: string }),
  );
  const [now, , over] = meetings.map((m) => m.id);
  await post(page, `/api/v1/meetings/${over}/end`, {});
  await page.reload();
  await page.getByRole("heading", { name: "Sắp tới" }).waitFor();
  await keep(page, "meeting-list");
  await page.getByRole("button", { name: "Cuộc họp mới" }).click();
  await page.getByText("Hẹn giờ", { exact: true }).click();
  await keep(page, "meeting-new");

  await page.goto(`/meetings/${now}`);
  await page.getByRole("button", { name: "Tắt camera" }).waitFor();
  await keep(page, "meeting-door");
  await page.getByRole("button", { name: "Vào họp", exact: true }).click();
  await page.getByText("Chỉ có bạn trong phòng").waitFor();
  await keep(page, "meeting-alone");
  await chi.goto(`/meetings/${now}`);
  await chi.getByRole("button", { name: "Vào họp", exact: true }).click();
  await page.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).getByLabel("Lê Thị Kim Chi", { exact: true }).waitFor();
  await keep(page, "meeting-call");
  await page.getByRole("button", { name: /^Thành viên/ }).click();
  await keep(page, "meeting-people");
  await page.keyboard.press("Escape");
  await page.keyboard.press("i");
  await page.getByRole("dialog", { name: "Mời thêm" }).waitFor();
  await keep(page, "meeting-invite");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Rời cuộc họp" }).click();
  await page.getByRole("heading", { name: "Bạn đã rời cuộc họp" }).waitFor();
  await keep(page, "meeting-left");
  await page.goto("/meetings/0000-0000-0000-0000-0000");
  await page.getByRole("heading", { name: "Không có cuộc họp này" }).waitFor();
  await keep(page, "meeting-missing");
  await page.goto(`/meetings/${over}`);
  await page.getByRole("heading", { name: "Cuộc họp đã kết thúc" }).waitFor();
  await keep(page, "meeting-ended");

  await page.goto("/meetings");
  await page.getByRole("button", { name: "English" }).click();
  await page.getByRole("heading", { name: "Coming up" }).waitFor();
  await keep(page, "meeting-list-en");
  await page.goto(`/meetings/${now}`);
  await page.getByRole("button", { name: "Turn the camera off" }).waitFor();
  await keep(page, "meeting-door-en");
  await page.getByRole("button", { name: "Join", exact: true }).click();
  await page.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).getByLabel("Lê Thị Kim Chi", { exact: true }).waitFor();
  await keep(page, "meeting-call-en");
  await Promise.all([page.context().close(), chi.context().close()]);
});
