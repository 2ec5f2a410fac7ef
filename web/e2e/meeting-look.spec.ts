import { type Page } from "playwright-core";
import { test } from "vitest";
import { expectAccessible, screenshots, signIn, useServer } from "./harness";

const app = useServer();

/** Keeps a page; in English those alone whose words are longest. */
async function keep(page: Page, name: string): Promise<void> {
  if (name.endsWith("-en") && !/list|new|door|call/.test(name)) return;
  await expectAccessible(page);
  await screenshots(page, name);
}

const api = (page: Page, path: string, body: unknown) => page.request.post(path, { data: body, headers: { Origin: app.url } });

const words = {
  vi: {
    list: "Sắp tới và đang họp", create: "Cuộc họp mới", later: "Hẹn giờ", enter: "Vào họp", alone: "Chỉ có bạn trong phòng", people: /^Thành viên/,
    invite: "Mời thêm", leave: "Rời cuộc họp", left: "Bạn đã rời cuộc họp", missing: "Không có cuộc họp này", ended: "Cuộc họp đã kết thúc",
  },
  en: {
    list: "Coming up and running", create: "New meeting", later: "At a set time", enter: "Join", alone: "You are alone in the room", people: /^People/,
    invite: "Invite others", leave: "Leave the meeting", left: "You have left the meeting", missing: "There is no such meeting", ended: "The meeting has ended",
  },
};

test.each(["vi", "en"] as const)("every page and state of meetings in %s", async (lang) => {
  const w = words[lang];
  const page = await app.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  const chi = await app.newPage();
  await Promise.all([signIn(page, "binh"), signIn(chi, "chi")]);
  if (lang === "en") await page.getByRole("button", { name: "English" }).click();
  await page.goto("/meetings");
  if (lang === "vi") {
    await page.getByText("Chưa có cuộc họp nào", { exact: true }).waitFor();
    await keep(page, "meeting-empty");
  }
  const meetings = await Promise.all(
    [
      { title: "Giao ban tuần" },
      { title: "Thẩm định dự thảo Nghị định về quản lý, kết nối và chia sẻ dữ liệu số của cơ quan nhà nước giai đoạn 2026–2030", starts_at: new Date(Date.now() + 26 * 3_600_000).toISOString() },
      { title: "Sơ kết quý III" },
    ].map(async (body) => (await (await api(page, "/api/v1/meetings", body)).json()) as { id: string }),
  );
  const [now, , over] = meetings.map((m) => m.id);
  await api(page, `/api/v1/meetings/${over}/end`, {});
  await page.reload();
  await page.getByRole("heading", { name: w.list }).waitFor();
  await keep(page, `meeting-list-${lang}`);
  await page.getByRole("button", { name: w.create }).click();
  await page.getByText(w.later, { exact: true }).click();
  await keep(page, `meeting-new-${lang}`);

  await page.goto(`/meetings/${now}`);
  await page.getByRole("button", { name: w.enter, exact: true }).waitFor();
  await page.getByRole("region").getByRole("button").first().waitFor();
  await keep(page, `meeting-door-${lang}`);
  await page.getByRole("button", { name: w.enter, exact: true }).click();
  await page.getByText(w.alone).waitFor();
  await keep(page, `meeting-alone-${lang}`);
  await chi.goto(`/meetings/${now}`);
  await chi.getByRole("button", { name: "Vào họp", exact: true }).click();
  await page.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).getByRole("img").or(page.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).locator("video")).first().waitFor();
  await keep(page, `meeting-call-${lang}`);
  await page.getByRole("button", { name: w.people }).click();
  await keep(page, `meeting-people-${lang}`);
  await page.keyboard.press("Escape");
  await page.keyboard.press("i");
  await page.getByRole("dialog", { name: w.invite }).waitFor();
  await keep(page, `meeting-invite-${lang}`);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: w.leave }).click();
  await page.getByRole("heading", { name: w.left }).waitFor();
  await keep(page, `meeting-left-${lang}`);
  await page.goto("/meetings/0000-0000-0000-0000-0000");
  await page.getByRole("heading", { name: w.missing }).waitFor();
  await keep(page, `meeting-missing-${lang}`);
  await page.goto(`/meetings/${over}`);
  await page.getByRole("heading", { name: w.ended }).waitFor();
  await keep(page, `meeting-ended-${lang}`);
  await Promise.all([page.context().close(), chi.context().close()]);
}, 90_000);
