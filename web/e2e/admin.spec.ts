import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { hand } from "./content";
import { expectAccessible, screenshots, signIn, useServer, watch } from "./harness";

const server = useServer();

/** axe finds nothing, in either scheme, and the page is kept as pictures. */
async function judge(page: Page, name: string, { pictures = true } = {}): Promise<void> {
  await expectAccessible(page, { where: name });
  if (pictures) await screenshots(page, `admin-${name}`);
  await page.emulateMedia({ colorScheme: "dark" });
  await expectAccessible(page, { where: `${name}, dark`, rule: "color-contrast" });
  await page.emulateMedia({ colorScheme: "light" });
}

/** The system administrator's page, and what goes wrong on it; what the server refuses is told by the test. */
async function administrator(): Promise<{ page: Page; wrong: string[] }> {
  const page = await server.newPage({ viewport: { width: 1280, height: 800 } });
  const wrong = watch(page, /the server responded with a status of 4\d\d/);
  await signIn(page, "admin");
  return { page, wrong };
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
  const { page, wrong } = await administrator();
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

test("a person is added, given a further post, disabled and enabled again", async () => {
  const { page, wrong } = await administrator();
  await page.goto("/admin/people");
  await page.getByRole("list", { name: "Danh sách người" }).getByRole("link", { name: /Nguyễn Văn An/ }).waitFor();
  await page.getByRole("button", { name: "Thêm người" }).click();
  const add = page.getByRole("dialog", { name: "Thêm người" });
  await add.getByRole("textbox", { name: "Họ và tên" }).fill("Phạm Thị Ngọc Ánh");
  await add.getByText("Họ: Phạm · Đệm: Thị Ngọc · Tên: Ánh").waitFor();
  await add.getByRole("combobox", { name: "Đơn vị" }).fill("tong hop");
  await page.getByRole("option", { name: "Văn phòng Bộ › Phòng Tổng hợp" }).click();
  await add.getByRole("textbox", { name: "Chức danh" }).fill("Chuyên viên");
  // What is wrong is said, and what was typed stays.
  await add.getByRole("textbox", { name: "Địa chỉ thư công vụ" }).fill("anh@noi-khac.example");
  await add.getByRole("button", { name: "Thêm", exact: true }).click();
  await add.getByRole("alert").getByText("Chưa thêm được người này").waitFor();
  await judge(page, "person-form");
  await add.getByRole("textbox", { name: "Địa chỉ thư công vụ" }).fill("anhptn@noivu.g2g.example");
  await add.getByRole("button", { name: "Thêm", exact: true }).click();
  const panel = page.getByRole("article", { name: "Phạm Thị Ngọc Ánh" });
  await panel.getByText("anhptn@noivu.g2g.example").first().waitFor();

  // A further post; ended, and brought back.
  await panel.getByRole("button", { name: "Thêm vị trí" }).click();
  const post = page.getByRole("dialog", { name: "Thêm vị trí" });
  await post.getByRole("combobox", { name: "Đơn vị" }).fill("cong nghe");
  await page.getByRole("option", { name: "Trung tâm Công nghệ thông tin" }).click();
  await post.getByRole("textbox", { name: "Chức danh" }).fill("Thư ký tổ chuyển đổi số");
  await post.getByRole("button", { name: "Thêm", exact: true }).click();
  const posts = panel.getByRole("region", { name: "Vị trí công tác" });
  await posts.getByText("Kiêm nhiệm").waitFor();
  await posts.getByRole("button", { name: "Kết thúc vị trí Thư ký tổ chuyển đổi số" }).click();
  await posts.getByRole("button", { name: "1 vị trí trước đây" }).waitFor();
  await page.getByRole("button", { name: "Hoàn tác" }).click();
  await posts.getByRole("button", { name: "Kết thúc vị trí Thư ký tổ chuyển đổi số" }).waitFor();

  // An account, the code to hand over, and the account's end and return.
  const account = panel.getByRole("region", { name: "Tài khoản" });
  await account.getByRole("button", { name: "Tạo tài khoản" }).click();
  const code = page.getByRole("dialog", { name: "Mã dùng một lần cho Phạm Thị Ngọc Ánh" });
  await code.getByRole("button", { name: "Cấp mã" }).click();
  await code.getByText("Mã chỉ hiện một lần này.").waitFor();
  await expectAccessible(page);
  await page.emulateMedia({ media: "print" });
  expect(await page.getByText("Phiếu mã đăng nhập").isVisible()).toBe(true);
  expect(await page.getByRole("button", { name: "In phiếu" }).isVisible()).toBe(false);
  await page.emulateMedia({ media: "screen" });
  await code.getByRole("button", { name: "Đóng" }).last().click();
  await account.getByText("Chờ đăng nhập lần đầu").waitFor();
  await judge(page, "person");

  await account.getByRole("button", { name: "Khóa tài khoản" }).click();
  const lock = page.getByRole("dialog", { name: /^Khóa tài khoản của/ });
  await lock.getByRole("textbox", { name: "Lý do" }).fill("Nghỉ việc theo quyết định 12/QĐ-BNV");
  await expectAccessible(page);
  await lock.getByRole("button", { name: "Khóa tài khoản" }).click();
  await account.getByText("Đã khóa", { exact: true }).waitFor();
  await account.getByRole("button", { name: "Mở lại tài khoản" }).click();
  const open = page.getByRole("dialog", { name: /^Mở lại tài khoản của/ });
  await open.getByRole("textbox", { name: "Lý do" }).fill("Trở lại làm việc");
  await open.getByRole("button", { name: "Mở lại tài khoản" }).click();
  await account.getByRole("button", { name: "Khóa tài khoản" }).waitFor();
  expect(wrong).toEqual([]);
});

test("groups, rooms, mailboxes, roles and policies are looked after", async () => {
  const { page, wrong } = await administrator();
  await page.goto("/admin/groups");
  await page.getByRole("button", { name: "Thêm nhóm" }).click();
  const group = page.getByRole("dialog", { name: "Thêm nhóm" });
  await group.getByRole("textbox", { name: "Tên nhóm" }).fill("Lãnh đạo cấp phòng");
  await group.getByText("Theo quy tắc", { exact: true }).click();
  await group.getByRole("textbox", { name: "Chức danh bắt đầu bằng" }).fill("Trưởng phòng");
  await group.getByText("Hiện có 2 người").waitFor();
  await expectAccessible(page);
  await group.getByRole("button", { name: "Thêm", exact: true }).click();
  const members = page.getByRole("region", { name: "Thành viên" });
  await members.getByText("Hồ Anh Tuấn").waitFor();
  await judge(page, "group");

  await page.getByRole("navigation", { name: "Quản trị" }).getByRole("link", { name: "Phòng họp, thiết bị" }).click();
  await page.getByRole("button", { name: "Thêm phòng hoặc thiết bị" }).click();
  const room = page.getByRole("dialog", { name: "Thêm phòng hoặc thiết bị" });
  await room.getByRole("textbox", { name: "Tên", exact: true }).fill("Phòng họp số 1");
  await room.getByRole("combobox", { name: "Đơn vị quản lý" }).fill("hanh chinh");
  await page.getByRole("option", { name: "Văn phòng Bộ › Phòng Hành chính" }).click();
  await room.getByRole("spinbutton", { name: "Số chỗ" }).fill("40");
  await room.getByRole("button", { name: "Thêm", exact: true }).click();
  await page.getByText("40 chỗ · Phòng Hành chính").waitFor();
  await page.getByRole("button", { name: "Xóa Phòng họp số 1" }).click();
  await page.getByRole("button", { name: "Hoàn tác" }).click();
  await page.getByText("40 chỗ · Phòng Hành chính").waitFor();
  await judge(page, "resources", { pictures: false });

  await page.getByRole("navigation", { name: "Quản trị" }).getByRole("link", { name: "Hộp thư đơn vị" }).click();
  await page.getByRole("button", { name: "Thêm hộp thư" }).click();
  const box = page.getByRole("dialog", { name: "Thêm hộp thư" });
  await box.getByRole("textbox", { name: "Tên hộp thư" }).fill("Văn thư Bộ");
  await box.getByRole("textbox", { name: "Địa chỉ" }).fill("vanthu@noivu.g2g.example");
  await box.getByRole("combobox", { name: "Của đơn vị" }).fill("van phong bo");
  await page.getByRole("option", { name: "Văn phòng Bộ", exact: true }).click();
  await box.getByRole("button", { name: "Thêm", exact: true }).click();
  await page.getByRole("button", { name: "Giao hộp thư Văn thư Bộ" }).click();
  const user = page.getByRole("dialog", { name: "Giao hộp thư Văn thư Bộ" });
  await user.getByRole("textbox", { name: "Vị trí của người" }).fill("kim oanh");
  await page.getByRole("option", { name: /Bùi Thị Kim Oanh/ }).click();
  await user.getByRole("button", { name: "Thêm", exact: true }).click();
  await page.getByText("Đọc và gửi").waitFor();
  await judge(page, "mailboxes");

  await page.getByRole("navigation", { name: "Quản trị" }).getByRole("link", { name: "Người quản trị" }).click();
  await page.getByRole("button", { name: "Giao vai trò" }).click();
  const role = page.getByRole("dialog", { name: "Giao vai trò" });
  await role.getByRole("textbox", { name: "Người" }).fill("thanh binh");
  await page.getByRole("option", { name: /Trần Thanh Bình/ }).click();
  await role.getByRole("button", { name: "Giao", exact: true }).click();
  await page.getByRole("button", { name: "Thu lại vai trò Quản trị cơ quan của Trần Thanh Bình" }).waitFor();
  await judge(page, "admins", { pictures: false });

  await page.getByRole("navigation", { name: "Quản trị" }).getByRole("link", { name: "Vai trò liên cơ quan" }).click();
  await page.getByText("Chưa có vai trò nào giữa các cơ quan").waitFor();
  await expectAccessible(page);
  await page.getByRole("navigation", { name: "Quản trị" }).getByRole("link", { name: "Chính sách" }).click();
  await page.getByText("Cùng cơ quan · mỗi người tự chọn được").waitFor(); // a system administrator reads it
  await judge(page, "policies");
  expect(wrong).toEqual([]);
});

test("a partner agency is given a role, sends somebody for it, and loses it again", async () => {
  const { page, wrong } = await administrator();
  await page.goto("/admin/partners");
  await page.getByRole("button", { name: "Giao vai trò" }).click();
  const partner = page.getByRole("dialog", { name: "Giao vai trò" });
  await partner.getByRole("combobox", { name: "Cơ quan được giao" }).fill("ha noi");
  await page.getByRole("option", { name: /Hà Nội/ }).first().click();
  await partner.getByRole("textbox", { name: "Liên kết hoặc mã" }).fill(`${server.url}/meetings/01a213c4-a1c1-7730-8554-8f1fb268aea2?from=mail`);
  await partner.getByRole("textbox", { name: "Tên gọi" }).fill("Giao ban liên cơ quan");
  await partner.getByRole("combobox", { name: "Vai trò" }).click();
  await page.getByRole("option", { name: "Chủ trì" }).click();
  await expectAccessible(page);
  await partner.getByRole("button", { name: "Giao", exact: true }).click();
  const given = page.getByRole("list", { name: "Đã giao cho cơ quan khác" });
  await given.getByText("Giao ban liên cơ quan").waitFor();
  await given.getByText("Chủ trì").waitFor();

  // The partner's own administrator chooses whom it sends.
  const [admin, dung] = await Promise.all([hand(server, "admin"), hand(server, "dung")]);
  const { positions } = await dung.api<{ positions: { agency_id: string }[] }>("get", "/api/v1/sessions/current");
  await admin.api("post", "/api/v1/directory/admin-grants", { person_id: dung.id, role: "agency_admin", agency_id: positions[0]?.agency_id });
  await dung.page.goto("/admin/partners");
  const received = dung.page.getByRole("list", { name: "Được cơ quan khác giao" });
  await received.getByText("Cuộc họp · Bộ Nội vụ").waitFor();
  await received.getByRole("button", { name: "Cử người" }).click();
  const sent = dung.page.getByRole("dialog", { name: "Cử người cho Giao ban liên cơ quan" });
  await sent.getByRole("textbox", { name: "Người được cử" }).fill("kim chi");
  await dung.page.getByRole("option", { name: /Lê Thị Kim Chi/ }).click();
  await sent.getByRole("button", { name: "Cử", exact: true }).click();
  await received.getByRole("button", { name: "Thôi cử Lê Thị Kim Chi" }).waitFor();
  await judge(dung.page, "partners");

  await page.reload();
  await given.getByText("Lê Thị Kim Chi").waitFor();
  await given.getByRole("button", { name: /^Thu lại vai trò trên Giao ban liên cơ quan/ }).click();
  await page.getByText("Chưa có vai trò nào giữa các cơ quan").waitFor();
  await page.getByRole("button", { name: "Hoàn tác" }).last().click();
  await given.getByText("Giao ban liên cơ quan").waitFor();
  expect(wrong).toEqual([]);
});

test("a staff list is put right, compared, looked through and applied", async () => {
  const { page, wrong } = await administrator();
  await page.goto("/admin/imports");
  const send = async (lines: string[]) => {
    const chooser = page.waitForEvent("filechooser");
    await page.getByRole("button", { name: "Chọn tệp CSV" }).click();
    const csv = ["Mã nhân sự;Họ và tên;Email;Chức danh;Đơn vị", ...lines].join("\n");
    await (await chooser).setFiles({ name: "nhan-su.csv", mimeType: "text/csv", buffer: Buffer.from(csv) });
  };
  await page.getByText("Chưa nhập danh sách nào").waitFor();
  await expectAccessible(page);
  await send(["NV01;Nguyễn Văn An;an@noivu.g2g.example;Chuyên viên cao cấp;Vụ Không có"]);
  await page.getByRole("heading", { name: "1 chỗ cần sửa" }).waitFor();
  await page.getByRole("cell", { name: /^Cơ quan không có đơn vị này/ }).waitFor();
  await expectAccessible(page);
  expect(await page.getByRole("button", { name: "Áp dụng" }).count()).toBe(0);

  await page.getByRole("link", { name: "Nhập danh sách" }).first().click();
  await send([
    "NV01;Nguyễn Văn An;an@noivu.g2g.example;Chuyên viên cao cấp;Vụ Cải cách hành chính",
    "NV02;Lê Hoàng Nam;namlh@noivu.g2g.example;Chuyên viên;Phòng Tổng hợp",
  ]);
  await page.getByText("Đây là bản xem trước: chưa có gì thay đổi.").waitFor();
  const table = page.getByRole("region", { name: "Bảng các thay đổi" });
  await table.getByRole("row", { name: /Lê Hoàng Nam/ }).waitFor();
  await page.getByText("Đổi thông tin (1)").click();
  await table.getByRole("row", { name: /Chuyên viên chính → Chuyên viên cao cấp/ }).waitFor();
  await judge(page, "import");
  await page.getByRole("button", { name: "Áp dụng" }).click();
  const sure = page.getByRole("dialog", { name: "Áp dụng cho 2 người?" });
  await expectAccessible(page);
  await sure.getByRole("button", { name: "Áp dụng" }).click();
  await page.getByText("Đã áp dụng cho 2 người; 0 người giữ nguyên.").waitFor();
  await page.goto("/directory?q=hoang+nam");
  await page.getByRole("link", { name: /Lê Hoàng Nam/ }).waitFor();
  expect(wrong).toEqual([]);
});
