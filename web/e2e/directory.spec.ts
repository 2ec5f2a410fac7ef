import { expect, test } from "vitest";
import { expectAccessible, screenshots, signIn, useServer } from "./harness";

const server = useServer();

test("people are found without marks and reached from their card", async () => {
  const page = await server.newPage();
  await signIn(page, "an");
  await page.getByRole("navigation").getByRole("link", { name: "Danh bạ" }).click();
  await page.getByText("Cùng cơ quan").waitFor();
  await page.getByRole("treeitem", { name: /UBND TP Hà Nội/ }).waitFor();
  await expectAccessible(page);
  await screenshots(page, "directory");

  // By the keyboard alone: type, down to the first hit, open it.
  await page.getByRole("searchbox", { name: "Tìm người" }).fill("kim chi");
  await page.getByText("1 người khớp với “kim chi”").waitFor();
  await page.getByRole("searchbox", { name: "Tìm người" }).press("ArrowDown");
  await page.keyboard.press("Enter");
  const card = page.getByRole("region", { name: "Thông tin người được chọn" });
  await card.getByRole("heading", { name: "Lê Thị Kim Chi" }).waitFor();
  await card.getByText("chi@hanoi.g2g.example").waitFor();
  expect(new URL(page.url()).searchParams.get("q")).toBe("kim chi");
  await expectAccessible(page);
  await screenshots(page, "directory-person");
  // The unit's link inherits its colour through many elements: without motion it changes with them, at once.
  const colours = await card.getByRole("link", { name: "Văn phòng UBND thành phố" }).evaluate((link) => {
    document.documentElement.setAttribute("data-mantine-color-scheme", "dark");
    return [link, link.parentElement ?? link].map((e) => getComputedStyle(e).color).concat(getComputedStyle(document.body).backgroundColor);
  });
  expect(colours).toEqual(["rgb(181, 175, 166)", "rgb(181, 175, 166)", "rgb(29, 27, 25)"]);
  await page.emulateMedia({ colorScheme: "dark" });
  await expectAccessible(page);

  await page.getByRole("searchbox", { name: "Tìm người" }).fill("duc");
  await page.getByText("5 người khớp với “duc”").waitFor();
  await page.getByRole("searchbox", { name: "Tìm người" }).fill("khong co ai");
  await page.getByText("Không có ai khớp").waitFor();
  await expectAccessible(page);
  await page.goBack();
});

test("a call from the card makes a meeting with that person invited", async () => {
  const page = await server.newPage();
  await signIn(page, "an");
  await page.goto("/directory?q=kim+chi");
  await page.getByRole("region", { name: "Danh sách người" }).getByRole("link", { name: /Lê Thị Kim Chi/ }).click();
  await page.getByRole("button", { name: "Gọi", exact: true }).click();
  await page.waitForURL(/\/meetings\/[^/?]+$/);
  const id = new URL(page.url()).pathname.split("/").pop() ?? "";

  const chi = await server.newPage();
  await signIn(chi, "chi");
  const meetings = (await (await chi.request.get("/api/v1/meetings")).json()) as { meetings: { id: string; title: string }[] };
  expect(meetings.meetings.find((m) => m.id === id)?.title).toBe("Nguyễn Văn An gọi Lê Thị Kim Chi");
});

test("a unit's link shows its people, and back leads back", async () => {
  const page = await server.newPage();
  await signIn(page, "chi");
  await page.goto("/directory");
  // By keys alone: another agency is opened, and one of its units chosen.
  await page.getByRole("treeitem", { name: /Bộ Nội vụ/ }).focus();
  await page.keyboard.press("ArrowRight");
  await page.getByRole("treeitem", { name: /Vụ Cải cách hành chính/ }).waitFor();
  await page.keyboard.type("vu cai");
  await page.keyboard.press("Enter");
  const list = page.getByRole("region", { name: "Danh sách người" });
  await list.getByText("Bộ Nội vụ › Vụ Cải cách hành chính").waitFor();
  await list.getByRole("link", { name: /Trần Thanh Bình/ }).waitFor();
  await list.getByRole("link", { name: /Trần Thanh Bình/ }).click();
  await page.getByRole("heading", { name: "Trần Thanh Bình" }).waitFor();
  await page.goBack();
  await list.getByText("Bộ Nội vụ › Vụ Cải cách hành chính").waitFor();
  await page.goBack();
  await list.getByText("Cùng cơ quan").waitFor();
});

test("on a phone one goes from the tree to the list to the person, and back", async () => {
  const page = await server.newPage({ viewport: { width: 390, height: 844 } });
  await signIn(page, "an");
  await page.goto("/directory");
  await page.getByRole("link", { name: "Cơ quan và đơn vị" }).click();
  await page.getByRole("treeitem", { name: /UBND TP Hà Nội/ }).waitFor();
  await expectAccessible(page);
  await screenshots(page, "directory-tree");
  await page.getByRole("searchbox", { name: "Lọc theo tên hoặc mã cơ quan" }).fill("h26");
  await page.getByRole("treeitem", { name: /UBND TP Hà Nội/ }).click();
  const list = page.getByRole("region", { name: "Danh sách người" });
  await list.getByRole("link", { name: /Lê Thị Kim Chi/ }).click();
  await page.getByRole("heading", { name: "Lê Thị Kim Chi" }).waitFor();
  await page.getByRole("button", { name: "Chép Thư công vụ" }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("chi@hanoi.g2g.example");
  await page.getByRole("link", { name: "Về danh sách" }).click();
  await list.getByRole("link", { name: /Lê Thị Kim Chi/ }).waitFor();
});
