import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeAll, describe, expect, it } from "vitest";
import { setConnection } from "../../api/connection";
import { pushed } from "../../api/push";
import { newQueryClient } from "../../api/query";
import { renderPart, renderRoutes } from "../../testing/render";
import { serve } from "../../testing/server";
import { Background, routes, useBadge } from "./index";
import { summaryQuery } from "./summary";

const boxes = [
  { id: "b-in", name: "INBOX", role: "inbox", total: 3, unread: 2 },
  { id: "b-dr", name: "Drafts", role: "drafts", total: 4, unread: 0 },
  { id: "b-se", name: "Sent", role: "sent", total: 9, unread: 0 },
  { id: "b-tr", name: "Trash", role: "trash", total: 1, unread: 1 },
  { id: "b-own", name: "Kế hoạch", role: "", total: 5, unread: 0 },
];
const row = (id: string, fields: object = {}) => ({
  id, mailbox: "b-in", subject: `Thư ${id}`, from: [{ name: "Lê Thị Kim Chi", address: "chi@hanoi.g2g.example" }],
  to: [{ name: "Nguyễn Văn An", address: "an@noivu.g2g.example" }], received_at: "2026-11-20T02:00:00Z", preview: `Nội dung ${id}`, seen: true, flagged: false,
  answered: false, draft: false, attachments: 0, size: 1200, ...fields,
});
const view = (id: string, fields: object = {}) => ({
  ...row(id), cc: [{ name: "Trần Thanh Bình", address: "binh@noivu.g2g.example" }], reply_to: [], message_id: `${id}@x`, references: [], text: "Kính gửi anh An",
  has_html: false, remote_images: false, attachment_parts: [], raw_url: `/api/v1/mail/messages/${id}/raw`, ...fields,
});
const inbox = "GET /api/v1/mail/mailboxes/b-in/messages";
const standing = {
  "GET /api/v1/mail/mailboxes": { body: { mailboxes: boxes } },
  "GET /api/v1/mail/summary": { body: { unread: 2, upload_limit: 1000 } },
  "GET /api/v1/info": { body: { demo: false } },
  "GET /api/v1/directory/people": { body: { people: [] } },
  "POST /api/v1/mail/messages/changes": { status: 204 },
};
const list = (...messages: object[]) => ({ body: { messages, next: "" } });
const listed = () => within(screen.getByRole("region", { name: "Danh sách thư" }));

// The pages' code is loaded when first asked for; no test waits for that.
beforeAll(async () => {
  await Promise.all([import("./components/MailPage"), import("./components/ComposePage")]);
});

describe("the list", () => {
  it("shows who, what and when, what is unread, and files", async () => {
    serve({ ...standing, [inbox]: list(row("1", { seen: false, attachments: 2 }), row("2", { from: [], subject: "", preview: "", answered: true })) });
    renderRoutes(routes, "/mail");
    const first = await screen.findByRole("link", { name: /Thư 1/ });
    expect(first.textContent).toMatch(/Chưa đọc\..*Lê Thị Kim Chi.*20\/11\/2026 09:00.*Thư 1.*2 tệp đính kèm.*Nội dung 1/);
    const second = screen.getByRole("link", { name: /Không có tiêu đề/ });
    expect(second.textContent).toMatch(/Không rõ người gửi.*Đã trả lời.*Không có nội dung chữ/);
    expect(second.textContent).not.toContain("Chưa đọc");
    const folders = within(screen.getByRole("navigation", { name: "Thư mục" }));
    expect(folders.getAllByRole("link").map((l) => l.textContent)).toEqual([
      "Soạn thư", "Thư đến22 thư chưa đọc", "Thư nháp44 thư", "Thư đã gửi", "Thùng rác", "Kế hoạch",
    ]);
    expect(folders.getByRole("link", { current: "page" }).textContent).toContain("Thư đến");
  });

  it("says to whom, where things go out", async () => {
    serve({ ...standing, "GET /api/v1/mail/mailboxes/b-se/messages": list(row("1", { mailbox: "b-se" })) });
    renderRoutes(routes, "/mail/sent");
    expect((await screen.findByRole("link", { name: /Thư 1/ })).textContent).toContain("Gửi Nguyễn Văn An");
  });

  it("says what to do when it is empty, and when nothing matches", async () => {
    serve({ ...standing, [inbox]: list() });
    renderRoutes(routes, "/mail");
    await screen.findByText("Thư mới đến sẽ tự hiện ở đây.");
    await userEvent.type(screen.getByRole("searchbox"), "xyz");
    await screen.findByText("Không có thư nào khớp với “xyz”");
  });

  it("says what failed, and tries again", async () => {
    let broken = true;
    serve({ ...standing, [inbox]: () => (broken ? { status: 500, body: { code: "internal" } } : list(row("1"))) });
    renderRoutes(routes, "/mail");
    const alert = await screen.findByRole("alert");
    expect(alert.textContent).toContain("Chưa tải được danh sách thư");
    broken = false;
    await userEvent.click(within(alert).getByRole("button", { name: "Thử lại" }));
    await screen.findByRole("link", { name: /Thư 1/ });
  });

  it("says when a folder of the address is none", async () => {
    serve({ ...standing });
    renderRoutes(routes, "/mail/nowhere");
    await screen.findByText("Không có thư mục này");
  });

  it("is gone through by keys, of which one deletes", async () => {
    const { calls } = serve({ ...standing, [inbox]: list(row("1"), row("2"), row("3")) });
    const { address } = renderRoutes(routes, "/mail");
    const first = await screen.findByRole("link", { name: /Thư 1/ });
    expect(listed().getAllByRole("link", { name: /Thư \d/ }).map((l) => l.tabIndex)).toEqual([0, -1, -1]);
    first.focus();
    await userEvent.keyboard("j{ArrowDown}");
    expect(document.activeElement?.textContent).toContain("Thư 3");
    await userEvent.keyboard("k{Enter}");
    await waitFor(() => expect(address()).toBe("/mail/inbox/2"));
    screen.getByRole("link", { name: /Thư 1/ }).focus();
    await userEvent.keyboard("{Delete}");
    await waitFor(() => expect(calls.find((c) => c.method === "POST")?.body).toEqual({ ids: ["1"], delete: true }));
  });
});

describe("reading", () => {
  it("marks as read once, and leaves what one says is unread", async () => {
    const { calls } = serve({ ...standing, [inbox]: list(row("1", { seen: false })), "GET /api/v1/mail/messages/1": { body: view("1", { seen: false }) } });
    const { address } = renderRoutes(routes, "/mail/inbox/1");
    await screen.findByText("Kính gửi anh An");
    const changes = () => calls.filter((c) => c.path.endsWith("changes")).map((c) => c.body);
    await waitFor(() => expect(changes()).toEqual([{ ids: ["1"], seen: true }]));
    await userEvent.click(screen.getByRole("button", { name: "Đánh dấu chưa đọc" }));
    await waitFor(() => expect(changes().at(-1)).toEqual({ ids: ["1"], seen: false }));
    expect(address()).toBe("/mail/inbox");
  });

  it("asks before deleting for good", async () => {
    const { calls } = serve({
      ...standing, "GET /api/v1/mail/mailboxes/b-tr/messages": list(row("1", { mailbox: "b-tr" })), "GET /api/v1/mail/messages/1": { body: view("1", { mailbox: "b-tr" }) },
    });
    renderRoutes(routes, "/mail/trash/1");
    await userEvent.click(await screen.findByRole("button", { name: "Xóa hẳn" }));
    const dialog = await screen.findByRole("dialog", { name: "Xóa hẳn thư này?" });
    expect(calls.some((c) => c.method === "POST")).toBe(false);
    await userEvent.click(within(dialog).getByRole("button", { name: "Xóa hẳn" }));
    await waitFor(() => expect(calls.find((c) => c.method === "POST")?.body).toEqual({ ids: ["1"], delete: true }));
  });

  it("shows HTML in a frame where nothing runs, and remote pictures when asked", async () => {
    serve({ ...standing, [inbox]: list(), "GET /api/v1/mail/messages/1": { body: view("1", { has_html: true, remote_images: true }) } });
    renderRoutes(routes, "/mail/inbox/1");
    const frame = await screen.findByTitle<HTMLIFrameElement>("Nội dung thư");
    expect(frame.getAttribute("sandbox")).not.toContain("allow-scripts");
    expect(frame.getAttribute("src")).toBe("/api/v1/mail/messages/1/html");
    await userEvent.click(screen.getByRole("button", { name: "Hiện hình ảnh" }));
    expect(screen.getByTitle("Nội dung thư").getAttribute("src")).toBe("/api/v1/mail/messages/1/html?images");
  });

  it("lists files with their sizes, but not pictures that stand in the text", async () => {
    const part = (part: string, name: string, shown = false) => ({ part, name, type: "image/png", size: 1_234_567, shown, url: `/p/${part}` });
    serve({ ...standing, [inbox]: list(), "GET /api/v1/mail/messages/1": { body: view("1", { attachment_parts: [part("2", "phụ lục.png"), part("3", "logo.png", true)] }) } });
    renderRoutes(routes, "/mail/inbox/1");
    await screen.findByText("1 tệp đính kèm");
    expect(screen.getByRole("link", { name: /^Tải về\s*phụ lục.png\s*1,2 MB$/ }).getAttribute("href")).toBe("/p/2");
    expect(screen.queryByText("logo.png")).toBeNull();
  });
});

describe("writing", () => {
  const id = "01990000-0000-4000-8000-00000000000a";
  const saved = `PUT /api/v1/mail/drafts/${id}`;
  const field = (name: string) => screen.findByRole<HTMLInputElement>("textbox", { name });

  it("answers all but oneself, above what is quoted", async () => {
    serve({ ...standing, "GET /api/v1/mail/messages/1": { body: view("1") } });
    renderRoutes(routes, `/mail/compose/${id}?all=1`);
    expect((await field("Tiêu đề")).value).toBe("Re: Thư 1");
    screen.getByText("Lê Thị Kim Chi");
    screen.getByText("Trần Thanh Bình");
    expect(screen.queryByText("Nguyễn Văn An")).toBeNull();
    const text = await field("Nội dung");
    expect(text.value).toBe("\n\nNgày 20/11/2026 09:00, Lê Thị Kim Chi viết:\n> Kính gửi anh An\n");
    expect([document.activeElement, text.selectionStart]).toEqual([text, 0]);
  });

  it("keeps what is typed in the tab, and begins with it again", async () => {
    serve({ ...standing, [saved]: { status: 503, body: { code: "unavailable" } } });
    const first = renderRoutes(routes, `/mail/compose/${id}?new=1`);
    await userEvent.type(await field("Nội dung"), "Kính gửi");
    await userEvent.type(await field("Người nhận"), "kim");
    first.unmount();
    renderRoutes(routes, `/mail/compose/${id}`);
    expect((await field("Nội dung")).value).toBe("Kính gửi");
    screen.getByText("kim");
  });

  it("goes on with what the server has", async () => {
    serve({
      ...standing,
      [`GET /api/v1/mail/drafts/${id}`]: {
        body: { to: ["chi@hanoi.g2g.example"], cc: null, bcc: ["x@y.example"], subject: "Dự thảo", text: "…", saved_at: "2026-11-20T02:00:00Z", foreign: false, files: [{ id: "f1", name: "a.pdf", type: "application/pdf", size: 10 }] },
      },
    });
    renderRoutes(routes, `/mail/compose/${id}`);
    expect((await field("Tiêu đề")).value).toBe("Dự thảo");
    screen.getByText("a.pdf");
    await field("Gửi ẩn (Bcc)");
    screen.getByText("x@y.example");
  });

  it("says when a draft is no more", async () => {
    serve({ ...standing });
    renderRoutes(routes, `/mail/compose/${id}`);
    await screen.findByText("Thư nháp này không còn nữa");
  });

  it("is saved, then sent as that draft, and leaves for the inbox", async () => {
    const { calls } = serve({ ...standing, [inbox]: list(), [saved]: { status: 204 }, "POST /api/v1/mail/send": { status: 201, body: { id: "s" } } });
    const { address } = renderRoutes(routes, `/mail/compose/${id}?to=chi@hanoi.g2g.example`);
    await userEvent.type(await field("Tiêu đề"), "Mời họp");
    await userEvent.type(await field("Nội dung"), "Kính mời");
    await userEvent.keyboard("{Control>}{Enter}{/Control}");
    await waitFor(() => expect(address()).toBe("/mail"));
    expect(calls.filter((c) => c.method !== "GET").map((c) => [c.method, c.path, (c.body as { draft?: string }).draft])).toEqual([
      ["PUT", `/api/v1/mail/drafts/${id}`, undefined],
      ["POST", "/api/v1/mail/send", id],
    ]);
    expect(calls.find((c) => c.method === "POST")?.body).toMatchObject({ to: ["chi@hanoi.g2g.example"], subject: "Mời họp", text: "Kính mời", uploads: [] });
    expect(sessionStorage.length).toBe(0);
  });

  it("names the recipient that nobody is, and keeps everything", async () => {
    serve({
      ...standing, [saved]: { status: 204 },
      "POST /api/v1/mail/send": { status: 422, body: { code: "invalid", detail: "nguoi.la@hanoi.g2g.example: no such mailbox here" } },
    });
    renderRoutes(routes, `/mail/compose/${id}?to=nguoi.la@hanoi.g2g.example`);
    await userEvent.type(await field("Tiêu đề"), "Mời họp");
    await userEvent.click(screen.getByRole("button", { name: "Gửi" }));
    await screen.findByText("Không có hộp thư nguoi.la@hanoi.g2g.example. Hãy kiểm tra lại địa chỉ.");
    expect((await field("Tiêu đề")).value).toBe("Mời họp");
    screen.getByText("nguoi.la@hanoi.g2g.example");
  });

  it("does not send without a recipient, to what is no address, or what one forgot", async () => {
    const { calls } = serve({ ...standing, [saved]: { status: 204 } });
    renderRoutes(routes, `/mail/compose/${id}?new=1`);
    await userEvent.type(await field("Nội dung"), "Xem tệp đính kèm");
    await userEvent.click(screen.getByRole("button", { name: "Gửi" }));
    await screen.findByText("Hãy thêm ít nhất một người nhận.");
    await userEvent.type(await field("Người nhận"), "kim chi");
    await userEvent.click(screen.getByRole("button", { name: "Gửi" }));
    await screen.findByText("“kim chi” chưa phải là địa chỉ thư. Hãy sửa hoặc bỏ đi.");
    await userEvent.click(screen.getByRole("button", { name: "Bỏ kim chi" }));
    await userEvent.type(await field("Người nhận"), "chi@hanoi.g2g.example,");
    await userEvent.click(screen.getByRole("button", { name: "Gửi" }));
    const dialog = await screen.findByRole("dialog", { name: "Gửi thư luôn?" });
    expect(dialog.textContent).toContain("Thư chưa có tiêu đề.");
    expect(dialog.textContent).toContain("chưa có tệp nào");
    expect(calls.some((c) => c.path.endsWith("/send"))).toBe(false);
  });

  it("does not take more than one message may hold", async () => {
    const queryClient = newQueryClient(() => {});
    serve({ ...standing, [saved]: { status: 204 } });
    renderRoutes(routes, `/mail/compose/${id}?to=chi@hanoi.g2g.example`, { queryClient });
    const input = await screen.findByLabelText("Chọn tệp để đính kèm");
    await waitFor(() => expect(queryClient.getQueryData(summaryQuery.queryKey)?.upload_limit).toBe(1000));
    fireEvent.change(input, { target: { files: [new File(["x".repeat(2000)], "lớn.bin")] } });
    await screen.findByText("Quá lớn: các tệp của một thư tối đa 1 kB");
  });
});

it("counts anew when mail has come, and when the socket is back", async () => {
  let unread = 1;
  serve({ ...standing, "GET /api/v1/mail/summary": () => ({ body: { unread, upload_limit: 1000 } }) });
  const Badge = () => <output>{useBadge()}</output>;
  renderPart(
    <>
      <Background />
      <Badge />
    </>,
  );
  await screen.findByText("1");
  unread = 2;
  act(() => pushed({ kind: "mail.changed", body: {}, live: true }));
  await screen.findByText("2");
  act(() => setConnection("reconnecting"));
  unread = 3; // the hint of this is lost
  act(() => setConnection("online"));
  await screen.findByText("3");
});
