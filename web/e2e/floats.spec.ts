import type { Locator, Page } from "playwright-core";
import { expect, it } from "vitest";
import { fillDay, hand } from "./content";
import { expectAccessible, settled, useServer, type Who } from "./harness";

// What floats over a page stands in the landmark or dialog that it belongs to, and
// nothing around it cuts it off or lies above it.
const app = useServer();

async function at(who: Who, address: string, viewport = { width: 1280, height: 800 }): Promise<Page> {
  const { page } = await hand(app, who);
  await page.setViewportSize(viewport);
  await page.goto(address);
  return page;
}

/** All of it can be seen: it is what one finds at each of its corners. */
async function inSight(page: Page, float: Locator): Promise<void> {
  await float.waitFor();
  await settled(page);
  const hidden = await float.evaluate((el) => {
    el.style.pointerEvents = "auto"; // or else it is not found, though seen
    const { left, right, top, bottom } = el.getBoundingClientRect();
    const corners = [[left + 4, top + 4], [right - 4, top + 4], [left + 4, bottom - 4], [right - 4, bottom - 4]] as const;
    const out = corners.filter(([x, y]) => !el.contains(document.elementFromPoint(x, y))).map((c) => c.join());
    el.style.pointerEvents = "";
    return out;
  });
  expect(hidden, "corners hidden or out of the window").toEqual([]);
}

async function judge(page: Page, float: Locator, name: string): Promise<void> {
  await inSight(page, float);
  await expectAccessible(page, { where: name });
}

it("shows tooltips and menus within the page's parts", async () => {
  const day = await fillDay(app);
  const mail = await at("an", "/mail/compose");
  await mail.getByRole("button", { name: "Gửi", exact: true }).hover();
  await judge(mail, mail.getByRole("tooltip"), "tooltip");
  await mail.getByRole("button", { name: "Bỏ thư này" }).hover(); // at the window's edge
  await judge(mail, mail.getByRole("tooltip", { name: "Bỏ thư này" }), "tooltip");
  await mail.goto("/mail");
  await mail.getByRole("link", { name: /Lịch công tác tuần 48/ }).click();
  await mail.getByRole("button", { name: "Chuyển đến thư mục" }).click();
  await judge(mail, mail.getByRole("menu"), "menu");
  await mail.context().close();

  const chat = await at("chi", `/chat/${day.conversation}`);
  await chat.getByRole("button", { name: "Bắt đầu trao đổi" }).click();
  await judge(chat, chat.getByRole("menu"), "chat-menu");
  await chat.context().close();
});

it("shows what is chosen from within the dialog that asks", async () => {
  const page = await at("admin", "/admin/partners");
  await page.getByRole("button", { name: "Giao vai trò" }).click();
  const dialog = page.getByRole("dialog", { name: "Giao vai trò" });
  await dialog.getByRole("combobox", { name: "Vai trò" }).click();
  await judge(page, dialog.getByRole("listbox"), "select");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });

  await page.goto("/meetings");
  await page.getByRole("button", { name: "Cuộc họp mới" }).click();
  await page.getByRole("textbox", { name: "Mời" }).or(page.getByRole("combobox", { name: "Mời" })).first().fill("nguyen");
  await page.getByRole("option").first().waitFor();
  await judge(page, page.getByRole("dialog").getByRole("listbox"), "people");
  await page.context().close();
});
