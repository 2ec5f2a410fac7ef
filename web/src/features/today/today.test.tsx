import { act, screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import { setConnection } from "../../api/connection";
import { pushed } from "../../api/push";
import { an, renderRoutes } from "../../testing/render";
import { serve } from "../../testing/server";
import { routes } from "./index";

const chi = { id: "p-chi", name: "Lê Thị Kim Chi", given_name: "Chi", title: "", unit: "", agency_id: "a2", agency_name: "", agency_short: "", address: "", owner: false };
const inMinutes = (n: number) => new Date(Date.now() + n * 60_000).toISOString();
const meeting = (id: string, title: string, more: object) => ({
  id, title, link: "", created_at: inMinutes(-600), created_by: chi, past: false, present: 0, relation: "invited", ...more,
});
const conversation = (id: string, more: object) => ({
  id, kind: "channel", title: "", agency_id: "a1", seq: 3, event_id: "e", count: 3, read_seq: 0, read_count: 0, unread: 0, last_at: inMinutes(-5),
  owner: false, member_count: 2, members: [], ...more,
});
const said = (text: string) => ({ kind: "message", sender: chi.id, sender_name: chi.name, body: { text } });
const letter = (id: string, subject: string, seen: boolean) => ({
  id, mailbox: "box", subject, from: [{ name: "Phạm Anh Dũng", address: "dung@hanoi.g2g.example" }], to: [], received_at: inMinutes(-3), preview: "",
  seen, flagged: false, answered: false, draft: false, attachments: 0, size: 1,
});

const quiet = {
  "GET /api/v1/meetings": { body: { meetings: [] } },
  "GET /api/v1/chat/conversations": { body: { user_seq: 0, user_event_id: "", conversations: [] } },
  "GET /api/v1/mail/summary": { body: { unread: 0, upload_limit: 1 } },
  "GET /api/v1/mail/mailboxes": { body: { mailboxes: [{ id: "box", name: "INBOX", role: "inbox", total: 0, unread: 0 }] } },
};
const panel = (name: RegExp) => screen.findByRole("region", { name });

it("shows the meetings that are ahead or on, and none that is over", async () => {
  serve({
    ...quiet,
    "GET /api/v1/meetings": {
      body: {
        meetings: [
          meeting("1", "Họp giao ban", { starts_at: inMinutes(-10) }),
          meeting("2", "Họp góp ý", { starts_at: inMinutes(20), relation: "maker" }),
          meeting("3", "Trao đổi nhanh", {}),
          meeting("5", "Họp tổ", { present: 3 }),
          meeting("6", "Họp kéo dài", { past: true, starts_at: inMinutes(-800), present: 2 }),
          meeting("4", "Họp tuần trước", { past: true, starts_at: inMinutes(-9000) }),
        ],
      },
    },
  });
  renderRoutes(routes, "/");
  const meetings = within(await panel(/^Cuộc họp/));
  expect((await meetings.findByRole("link", { name: /Họp giao ban/ })).textContent).toMatch(/Lê Thị Kim Chi mời.*từ \d\d:\d\d/);
  expect(meetings.getByRole("link", { name: /Họp góp ý/ }).textContent).toMatch(/Tôi lập.*(19|20) phút nữa/);
  expect(meetings.getByRole("link", { name: /Trao đổi nhanh/ }).textContent).toContain("Không có ai");
  const running = within(meetings.getByRole("list", { name: "Đang họp" }));
  expect(running.getAllByRole("link").map((l) => l.textContent)).toEqual([expect.stringMatching(/^Họp tổ.*Đang có 3 người$/), expect.stringMatching(/^Họp kéo dài.*Đang có 2 người$/)]);
  expect(within(meetings.getByRole("list", { name: "Sắp tới" })).getAllByRole("link")).toHaveLength(3);
  expect(meetings.queryByText("Họp tuần trước")).toBeNull();
});

it("shows who has written what is not read yet", async () => {
  const members = [{ ...chi }, { ...chi, id: an.person.id, name: an.person.name }];
  serve({
    ...quiet,
    "GET /api/v1/chat/conversations": {
      body: {
        user_seq: 1, user_event_id: "",
        conversations: [
          conversation("read", { title: "Đã đọc cả", unread: 0, last: said("cũ") }),
          conversation("group", { title: "Tổ soạn thảo", unread: 1, last_at: inMinutes(-9), last: said("Đã xong") }),
          conversation("direct", { kind: "direct", unread: 2, last: said("Chào anh An"), members }),
        ],
      },
    },
  });
  renderRoutes(routes, "/");
  const messages = within(await panel(/^Tin nhắn chưa đọc 3/));
  const [newest, older, ...rest] = messages.getAllByRole("listitem").map((l) => l.textContent);
  expect(newest).toMatch(/^Lê Thị Kim ChiChào anh An.*2 tin nhắn chưa đọc$/);
  expect(older).toMatch(/^Tổ soạn thảoLê Thị Kim Chi: Đã xong/);
  expect(rest).toEqual([]);
});

it("shows unread mail, and asks again when mail has come", async () => {
  let letters = [letter("1", "Số liệu biên chế", false), letter("2", "Đọc rồi", true)];
  serve({
    ...quiet,
    "GET /api/v1/mail/summary": () => ({ body: { unread: letters.filter((l) => !l.seen).length, upload_limit: 1 } }),
    "GET /api/v1/mail/mailboxes": { body: { mailboxes: [{ id: "box", name: "INBOX", role: "inbox", total: 2, unread: 1 }] } },
    "GET /api/v1/mail/mailboxes/box/messages": () => ({ body: { messages: letters, next: "" } }),
  });
  renderRoutes(routes, "/");
  const mail = within(await panel(/^Thư chưa đọc 1/));
  expect(mail.getByRole("link", { name: /Số liệu biên chế/ }).getAttribute("href")).toBe("/mail/box/1");
  expect(mail.queryByText("Đọc rồi")).toBeNull();
  letters = [letter("3", "Lịch công tác", false), ...letters];
  act(() => pushed({ kind: "mail.changed", body: {}, live: true }));
  await mail.findByRole("link", { name: /Lịch công tác/ });
  // What was hinted at while the socket was away is asked for when it is back.
  act(() => setConnection("reconnecting"));
  letters = [letter("4", "Thay đổi giờ họp", false), ...letters];
  act(() => setConnection("online"));
  await mail.findByRole("link", { name: /Thay đổi giờ họp/ });
});

it("says so where nothing waits, where something failed, and hides mail where there is none", async () => {
  serve({ ...quiet, "GET /api/v1/meetings": { status: 500, body: { code: "internal", detail: "pq: secret" } }, "GET /api/v1/mail/summary": { status: 404, body: { code: "not_found" } } });
  renderRoutes(routes, "/");
  await screen.findByText("Chưa có tin nhắn");
  expect((await screen.findByRole("alert")).textContent).toContain("Chưa tải được danh sách cuộc họp");
  expect(document.body.textContent).not.toContain("secret");
  expect(screen.queryByRole("region", { name: /^Thư chưa đọc/ })).toBeNull();
});

it("tells what was read to the end from what never was there", async () => {
  serve(quiet);
  const { unmount } = renderRoutes(routes, "/");
  await screen.findByText("Chưa có tin nhắn");
  await screen.findByText("Chưa có thư");
  unmount();
  serve({
    ...quiet,
    "GET /api/v1/chat/conversations": { body: { user_seq: 1, user_event_id: "", conversations: [conversation("read", { title: "Đã đọc cả" })] } },
    "GET /api/v1/mail/mailboxes": { body: { mailboxes: [{ id: "box", name: "INBOX", role: "inbox", total: 1, unread: 0 }] } },
  });
  renderRoutes(routes, "/");
  await screen.findByText("Đã đọc hết tin nhắn");
  await screen.findByText("Đã đọc hết thư");
});
