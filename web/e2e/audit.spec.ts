import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { expectAccessible, screenshots, signIn, useServer } from "./harness";

const server = useServer();

test("an auditor finds what was done, sees its proof, and takes it along", async () => {
  const an = await server.newPage();
  await signIn(an, "an");
  await an.request.post("/api/v1/meetings", { data: { title: "Giao ban tuần" } });
  // Others are told whom to ask, and see no such place.
  expect((await an.request.get("/api/v1/audit/events")).status()).toBe(403);
  expect(await an.getByRole("navigation").getByRole("link", { name: "Nhật ký" }).count()).toBe(0);
  await an.goto("/audit");
  await an.getByRole("heading", { name: "Chỉ kiểm toán viên xem được nhật ký" }).waitFor();
  await expectAccessible(an);

  const page = await server.newPage();
  await signIn(page, "kiemtoan");
  await page.getByRole("navigation").getByRole("link", { name: "Nhật ký" }).click();
  const list = page.getByRole("list", { name: "Các sự kiện" });
  await list.getByRole("button", { name: /Bị từ chối.*Xem nhật ký.*Nguyễn Văn An/ }).waitFor();
  await list.getByRole("button", { name: /Tạo cuộc họp.*Nguyễn Văn An/ }).waitFor();
  await page.getByRole("complementary", { name: "Tình trạng nhật ký" }).getByText("Sự kiện trong cây").waitFor();
  await page.getByText("31 ngày gần nhất").waitFor();
  await expectAccessible(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), "wider than the window").toBeLessThanOrEqual(0);
  await screenshots(page, "audit");
  await page.emulateMedia({ colorScheme: "dark" });
  await expectAccessible(page);
  await page.emulateMedia({ colorScheme: "light" });

  // The filter stands in the address, and back takes it away again.
  await page.getByLabel("Kết quả").selectOption("denied");
  await list.getByRole("button", { name: /Tạo cuộc họp/ }).waitFor({ state: "detached" });
  expect(new URL(page.url()).searchParams.get("outcome")).toBe("denied");
  await page.reload();
  await list.getByRole("button", { name: /Bị từ chối/ }).first().waitFor();
  expect(await list.getByRole("button", { name: /Thành công/ }).count()).toBe(0);

  // One event, by keys alone: its proof is checked against the signed head.
  await list.getByRole("button", { name: /Xem nhật ký.*Nguyễn Văn An/ }).first().focus();
  await page.keyboard.press("Enter");
  const details = page.getByRole("dialog", { name: "Chi tiết sự kiện" });
  await details.getByText("Nguyên vẹn").waitFor();
  await details.getByText(/khớp với đầu cây đã ký/).waitFor();
  await details.getByRole("link", { name: "Nguyễn Văn An" }).waitFor();
  await expectAccessible(page);
  await screenshots(page, "audit-event");
  await details.getByRole("button", { name: "Chỉ người này" }).click();
  await page.getByText("Người: Nguyễn Văn An").waitFor();
  await details.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Bỏ lọc" }).click();
  await list.getByRole("button", { name: /Tạo cuộc họp/ }).waitFor();

  // What is exported is whole, and is recorded itself.
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Xuất nhật ký" }).click()]);
  expect(download.suggestedFilename()).toMatch(/^audit-\d{8}-\d{4}\.jsonl$/);
  const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\n").map((l) => JSON.parse(l) as { type: string; events?: number; complete?: boolean });
  expect(lines[0]).toMatchObject({ type: "header", complete: true });
  expect(lines.at(-1)).toEqual({ type: "end", events: lines.length - 2 });
  await page.goto("/audit?action=audit.export");
  await list.getByRole("button", { name: /Xuất nhật ký.*Kiểm toán hệ thống/ }).waitFor();

  // Nothing fits, and on a phone.
  await page.goto("/audit?address=203.0.113.9");
  await page.getByRole("heading", { name: "Không có sự kiện nào khớp" }).waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto("/audit");
  await list.getByRole("button").first().waitFor();
  await page.getByRole("button", { name: "Bộ lọc" }).click();
  await page.getByLabel("Từ ngày").waitFor();
  await expectAccessible(page);
  await page.getByRole("button", { name: "Tình trạng" }).click();
  await page.getByRole("img", { name: /^Cây gồm/ }).waitFor();
  await expectAccessible(page);
});
