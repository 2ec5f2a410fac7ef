import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { expectAccessible, screenshots, signIn, useServer, watch } from "./harness";

const server = useServer();

/** axe finds nothing, in either scheme, and the page is kept as pictures. */
async function judge(page: Page, name: string): Promise<void> {
  await expectAccessible(page, { where: name });
  await screenshots(page, `admin-${name}`);
  await page.emulateMedia({ colorScheme: "dark" });
  await expectAccessible(page, { where: `${name}, dark`, rule: "color-contrast" });
  await page.emulateMedia({ colorScheme: "light" });
}

async function administrator(): Promise<Page> {
  const page = await server.newPage({ viewport: { width: 1280, height: 800 } });
  await signIn(page, "admin");
  return page;
}

test("only administrators see the administration, and others hear whom to ask", async () => {
  const page = await server.newPage();
  await signIn(page, "an");
  await page.getByRole("navigation").getByRole("link", { name: "Danh bạ" }).waitFor();
  expect(await page.getByRole("link", { name: "Quản trị" }).count()).toBe(0);
  await page.goto("/admin/people");
  await page.getByRole("heading", { name: "Cần thêm quyền quản trị" }).waitFor();
  await expectAccessible(page);
});

test("a unit is added below another, renamed, put first, deleted, and brought back", async () => {
  const page = await administrator();
  const wrong = watch(page);
  await page.getByRole("navigation", { name: "Các phần" }).getByRole("link", { name: "Quản trị" }).click();
  const tree = page.getByRole("tree", { name: "Cây đơn vị" });
  await tree.getByRole("treeitem", { name: /Văn phòng Bộ/ }).click();
  await page.getByRole("heading", { name: "Văn phòng Bộ" }).waitFor();
  await page.getByRole("button", { name: "Thêm đơn vị bên dưới" }).click();
  const dialog = page.getByRole("dialog", { name: "Thêm đơn vị bên dưới" });
  await dialog.getByRole("textbox", { name: "Tên đơn vị" }).fill("Phòng Chuyển đổi số");
  await expectAccessible(page);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Phòng Chuyển đổi số" }).waitFor();
  await judge(page, "unit");

  await page.getByRole("textbox", { name: "Tên đơn vị" }).fill("Phòng Chuyển đổi số và Dữ liệu");
  await page.getByRole("button", { name: "Lưu thay đổi" }).click();
  await tree.getByRole("treeitem", { name: /Phòng Chuyển đổi số và Dữ liệu/ }).waitFor();

  await page.getByText("Đang đứng thứ 3 trong 3 đơn vị cùng cấp.").waitFor();
  await page.getByRole("button", { name: "Lên trên" }).click();
  await page.getByText("Đang đứng thứ 2 trong 3 đơn vị cùng cấp.").waitFor();

  await page.getByRole("button", { name: "Xóa đơn vị" }).click();
  await tree.getByRole("treeitem", { name: /Phòng Chuyển đổi số và Dữ liệu/ }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Hoàn tác" }).click();
  await tree.getByRole("treeitem", { name: /Phòng Chuyển đổi số và Dữ liệu/ }).waitFor();
  expect(wrong).toEqual([]);
});
