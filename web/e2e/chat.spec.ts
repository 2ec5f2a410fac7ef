import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { hand } from "./content";
import { expectAccessible, screenshots, signIn, typeHere, useServer, type Who } from "./harness";

const app = useServer();

/** A person of the demo at the chat page, in a window of their own. */
async function atChat(who: Who, path = "/chat"): Promise<Page> {
  const page = await app.newPage({ viewport: { width: 1280, height: 800 } });
  await page.goto(path);
  await signIn(page, who);
  await page.getByRole("heading", { level: 1 }).waitFor();
  return page;
}

const field = (page: Page) => page.getByRole("textbox", { name: /^Viết cho/ });
const list = (page: Page) => page.getByRole("region", { name: "Các cuộc trao đổi" });
const pane = (page: Page) => page.getByRole("region", { name: "Cuộc trao đổi", exact: true });
const said = (page: Page, text: string) => pane(page).getByRole("article").filter({ hasText: text });

async function say(page: Page, text: string): Promise<void> {
  await field(page).fill(text);
  await field(page).press("Enter");
}

/** The texts of the conversation as it is shown, in order. */
async function texts(page: Page, like: RegExp): Promise<string[]> {
  const all = await pane(page).getByRole("article").allInnerTexts();
  return all.flatMap((t) => t.match(like)?.[0] ?? []);
}

/** Opens the direct conversation from the directory's card, as people do. */
async function writeTo(page: Page, query: string, name: string): Promise<void> {
  await page.getByRole("navigation", { name: "Các phần" }).getByRole("link", { name: /^Danh bạ/ }).click();
  await page.getByRole("searchbox", { name: "Tìm người" }).fill(query);
  await page.getByRole("region", { name: "Danh sách người" }).getByRole("link", { name: new RegExp(`^${name}`) }).click();
  await page.getByRole("link", { name: /Nhắn tin/ }).click();
  await field(page).waitFor();
}

it("lets two people of two agencies talk, from the directory's card on", async () => {
  const an = await atChat("an");
  await list(an).getByText("Chưa có cuộc trao đổi nào").waitFor();
  await expectAccessible(an);
  await screenshots(an, "chat-empty");

  await writeTo(an, "kim chi", "Lê Thị Kim Chi");
  await pane(an).getByText(/Chưa có tin nhắn nào/).waitFor();
  await expectAccessible(an);
  await say(an, "Chào chị, mai mình họp lúc mấy giờ?");
  await said(an, "Chào chị").waitFor();
  await an.waitForURL(/\/chat\/[0-9a-f-]{36}$/);

  const chi = await atChat("chi", "/");
  await chi.waitForFunction(() => document.title.startsWith("(1) "));
  await chi.getByRole("navigation", { name: "Các phần" }).getByRole("link", { name: /^Tin nhắn.*1 mục chờ/ }).click();
  await list(chi).getByRole("link", { name: /An.*1 tin chưa đọc/ }).click();
  await said(chi, "Chào chị").waitFor();
  await chi.getByRole("separator", { name: "Tin chưa đọc" }).waitFor();
  await chi.waitForFunction(() => !document.title.startsWith("("));

  await field(chi).pressSequentially("Tám giờ");
  await pane(an).getByText("Chi đang viết…").waitFor();
  await field(chi).press("Enter");
  await said(an, "Tám giờ").waitFor();
  await expectAccessible(an);
  await expectAccessible(chi);
  expect(await an.title()).toBe("Lê Thị Kim Chi · commsd");
  await screenshots(an, "chat-direct");
  const keys = an.getByText(/^Enter để gửi/);
  await keys.waitFor();
  await an.setViewportSize({ width: 390, height: 844 });
  await keys.waitFor({ state: "hidden" });
  await expectAccessible(an);
  await an.getByRole("link", { name: "Về danh sách tin nhắn" }).click();
  await list(an).getByRole("link", { name: /Lê Thị Kim Chi/ }).waitFor();
  await expectAccessible(an);
  await screenshots(an, "chat-list");
  await Promise.all([an.context().close(), chi.context().close()]);
});

/** Two people in their direct conversation. */
async function talking(a: Who, b: Who, ofB: string, queryB: string): Promise<[Page, Page]> {
  const one = await atChat(a);
  await writeTo(one, queryB, ofB);
  await say(one, `Chào ${ofB}`);
  await one.waitForURL(/\/chat\/[0-9a-f-]{36}$/);
  await said(one, `Chào ${ofB}`).last().waitFor();
  const two = await atChat(b, new URL(one.url()).pathname);
  await said(two, `Chào ${ofB}`).first().waitFor();
  return [one, two];
}

/** The text of the message right below the line between read and unread. */
async function belowTheLine(page: Page): Promise<string> {
  const line = page.getByRole("separator", { name: "Tin chưa đọc" });
  return line.evaluate((e) => e.parentElement?.querySelector("article")?.innerText ?? "");
}

/** The last pixel of the conversation is on the screen. */
const isAtEnd = (page: Page) => {
  const log = pane(page).getByRole("group", { name: /^Các tin nhắn/ });
  return log.evaluate((e) => e.scrollHeight - e.clientHeight - e.scrollTop < 2);
};

it.each([[390, 844], [1280, 800]] as const)("opens at the first unread message, or else at the end, in a window %i wide", async (width, height) => {
  const [an, chi] = await Promise.all([hand(app, "an"), hand(app, "chi")]);
  const { id } = await an.api<{ id: string }>("post", "/api/v1/chat/conversations", { kind: "channel", title: `Chuyện ${width}`, people: [chi.id] });
  const long = "Đề nghị các đơn vị rà soát số liệu biên chế, gửi về Vụ trước cuối giờ chiều để kịp tổng hợp, báo cáo lãnh đạo Bộ. ";
  await an.say(id, ...Array.from({ length: 30 }, (_, i) => `Việc ${i}. ${long.repeat(i % 4)}`));

  const page = await atChat("chi");
  await page.setViewportSize({ width, height });
  const open = async () => {
    await list(page).getByRole("link", { name: new RegExp(`Chuyện ${width}`) }).click();
    await pane(page).getByRole("article").first().waitFor();
  };
  const leave = () => page.getByRole("navigation", { name: "Các phần" }).getByRole("link", { name: /^Tin nhắn/ }).click();
  // As on a slow machine, the first lines are measured late: they are not taken for all there are.
  await page.evaluate(() => {
    const Observer = ResizeObserver;
    globalThis.ResizeObserver = class extends Observer {
      constructor(tell: ResizeObserverCallback) {
        super((entries, me) => void setTimeout(() => tell(entries, me), 150));
      }
    };
  });
  await open();
  expect(await belowTheLine(page)).toContain("Việc 0.");
  await pane(page).getByRole("button", { name: /tin mới|Tin mới nhất/ }).click();
  await page.waitForFunction(() => !document.title.startsWith("("));
  for (let n = 0; n < 3; n++) {
    await leave();
    if (n === 1) await page.reload();
    await open();
    await said(page, "Việc 29.").waitFor();
    await expect.poll(() => isAtEnd(page)).toBe(true);
    expect(await page.getByRole("button", { name: "Tin mới nhất" }).count()).toBe(0);
  }

  // Known from before, or new to the page; few, which it shows all of, or more.
  for (const [kept, few] of [[true, true], [false, true], [true, false], [false, false]] as const) {
    await leave();
    const news = Array.from({ length: few ? 3 : 25 }, (_, i) => `Mới ${kept} ${few} ${i}. ${few ? "" : long}`);
    await an.say(id, ...news);
    await page.waitForFunction((n) => document.title.startsWith(`(${n}) `), news.length);
    if (!kept) await page.reload();
    await open();
    expect(await belowTheLine(page)).toContain(`Mới ${kept} ${few} 0.`);
    await expect.poll(() => said(page, `Mới ${kept} ${few} 0.`).evaluate((e) => e.getBoundingClientRect().top >= 0 && e.getBoundingClientRect().bottom <= innerHeight)).toBe(true);
    if (few) {
      await expect.poll(() => isAtEnd(page)).toBe(true);
      await page.waitForFunction(() => !document.title.startsWith("("));
      // All is read; the line says where that began.
      expect(await belowTheLine(page)).toContain(`Mới ${kept} ${few} 0.`);
    } else {
      await pane(page).getByRole("button", { name: /tin mới|Tin mới nhất/ }).click();
      await page.waitForFunction(() => !document.title.startsWith("("));
    }
  }
  await Promise.all([page, an.page, chi.page].map((p) => p.context().close()));
});

it("catches up after the network was away, and sends what was written meanwhile", async () => {
  const [binh, dung] = await talking("binh", "dung", "Phạm Anh Dũng", "anh dung");
  await dung.context().setOffline(true);
  await dung.getByText(/^Đang mất mạng/).waitFor({ timeout: 20_000 }); // the browser has said so: the socket's own silence takes 35 seconds
  for (const n of [1, 2, 3]) await say(binh, `Khi vắng ${n}`);
  await said(binh, "Khi vắng 3").waitFor();
  await say(dung, "Viết khi mất mạng");
  await said(dung, "Viết khi mất mạng").waitFor();
  await pane(dung).getByText("Chưa gửi, sẽ gửi khi kết nối lại").waitFor();
  expect(await said(dung, "Khi vắng").count()).toBe(0);
  await expectAccessible(dung);
  await screenshots(dung, "chat-offline");

  await dung.context().setOffline(false);
  await said(dung, "Khi vắng 3").waitFor();
  await said(binh, "Viết khi mất mạng").waitFor();
  await pane(dung).getByText("Chưa gửi").waitFor({ state: "detached" });
  const expected = ["Khi vắng 1", "Khi vắng 2", "Khi vắng 3", "Viết khi mất mạng"];
  expect(await texts(dung, /Khi vắng \d|Viết khi mất mạng/)).toEqual(expected);
  expect(await texts(binh, /Khi vắng \d|Viết khi mất mạng/)).toEqual(expected);
  await Promise.all([binh.context().close(), dung.context().close()]);
});

it("loses and doubles nothing when the server is killed between messages", async () => {
  const [an, dung] = await talking("an", "dung", "Phạm Anh Dũng", "anh dung");
  const acked = new Set<string>();
  an.on("websocket", (ws) =>
    ws.on("framereceived", ({ payload }) => {
      for (const line of payload.toString().split("\n")) {
        const m = JSON.parse(line) as { type: string; client_id: string };
        if (m.type === "ack") acked.add(m.client_id);
      }
    }),
  );
  await an.reload(); // so that its socket is listened to
  await said(an, "Chào").first().waitFor();
  const written: string[] = [];
  const write = async (page: Page, text: string) => {
    written.push(text);
    await say(page, text);
  };
  for (let i = 0; i < 8; i++) await write(an, `Trước khi tắt ${i}.`);
  const stopped = app.stop("SIGKILL"); // while the last of them are on their way
  await write(an, "Trong lúc tắt 0.");
  await stopped;
  await write(an, "Trong lúc tắt 1.");
  await an.getByText(/^Đang kết nối lại/).waitFor();
  await pane(an).getByText("Chưa gửi, sẽ gửi khi kết nối lại").first().waitFor();
  // The window is closed with messages unsent; they go out when it opens again.
  const conversation = an.url();
  const context = an.context();
  await an.close();
  await app.start();
  const again = await context.newPage();
  await again.goto(conversation);
  await said(again, "Trong lúc tắt 1.").waitFor();
  await pane(again).getByText("Chưa gửi").waitFor({ state: "detached" });
  await said(dung, "Trong lúc tắt 1.").waitFor();

  const answer = await again.request.get(`/api/v1/chat/conversations/${conversation.split("/").at(-1) ?? ""}/events`);
  const { events } = (await answer.json()) as { events: { seq: number; client_id: string; body: { text: string } }[] };
  expect(events.map((e) => e.seq)).toEqual(events.map((_, i) => i + 1));
  expect(events.slice(1).map((e) => e.body.text)).toEqual(written);
  expect(acked.size).toBeGreaterThan(0);
  expect([...acked].filter((id) => !events.some((e) => e.client_id === id))).toEqual([]);
  const shown = /(?:Trước khi|Trong lúc) tắt \d\./;
  expect(await texts(dung, shown)).toEqual(written);
  expect(await texts(again, shown)).toEqual(written);
  await Promise.all([context.close(), dung.context().close()]);
});

// What each way of typing shows on its way to the word.
it.each([
  ["Telex", ["tie", "tiê", "tiêng", "tiếng"]],
  ["VNI", ["d", "đ", "đuong", "đương", "đường"]],
])("does not send while %s composes a word", async (_, steps) => {
  const word = steps.at(-1) ?? "";
  const [an, chi] = await talking("an", "chi", "Lê Thị Kim Chi", "kim chi");
  const ime = await an.context().newCDPSession(an);
  await field(an).focus();
  for (const text of steps) {
    await ime.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
    // What Chromium hands on of an Enter that the input method takes for itself.
    for (const type of ["rawKeyDown", "keyUp"] as const) await ime.send("Input.dispatchKeyEvent", { type, key: "Enter", code: "Enter", windowsVirtualKeyCode: 229 });
    expect(await field(an).inputValue()).toBe(text);
  }
  await ime.send("Input.insertText", { text: word });
  await field(an).press("Shift+Enter");
  await field(an).pressSequentially("Việt");
  expect(await field(an).inputValue()).toBe(`${word}\nViệt`);
  await field(an).press("Enter");
  await said(chi, word).filter({ hasText: "Việt" }).waitFor();
  expect(await said(chi, word).count()).toBe(1);
  expect(await field(an).inputValue()).toBe("");
  await Promise.all([an.context().close(), chi.context().close()]);
});

it("says that a session has ended, and keeps what was typed and what was not sent", async () => {
  const [an, chi] = await talking("an", "chi", "Lê Thị Kim Chi", "kim chi");
  // Ended elsewhere, while the page is open: the socket says so.
  await field(an).fill("Đang soạn dở");
  const cookie = (await an.context().cookies()).map((c) => `${c.name}=${c.value}`).join("; ");
  const end = async (with_: string) => expect((await fetch(`${app.url}/api/v1/sessions/current`, { method: "DELETE", headers: { Cookie: with_ } })).ok).toBe(true);
  await end(cookie);
  await an.getByText("Phiên làm việc đã kết thúc").waitFor();
  await signIn(an, "an");
  await said(an, "Chào").first().waitFor();
  expect(await field(an).inputValue()).toBe("Đang soạn dở");

  // Ended while the network was away, with a message unsent.
  await an.context().setOffline(true);
  await an.getByText(/^Đang mất mạng/).waitFor();
  await field(an).press("Enter");
  await pane(an).getByText("Chưa gửi, sẽ gửi khi kết nối lại").waitFor();
  await end((await an.context().cookies()).map((c) => `${c.name}=${c.value}`).join("; "));
  await an.context().setOffline(false);
  await an.getByText("Phiên làm việc đã kết thúc").waitFor();
  await signIn(an, "an");
  await said(chi, "Đang soạn dở").waitFor();
  expect(await said(chi, "Đang soạn dở").count()).toBe(1);
  await Promise.all([an.context().close(), chi.context().close()]);
});

/** Sends many messages at once, over a socket of the page's own making. */
async function flood(page: Page, conversation: string, from: number, count: number): Promise<void> {
  await page.evaluate(
    async ([id, first, n]) => {
      const ws = new WebSocket(`${location.origin.replace("http", "ws")}/api/v1/chat/socket`);
      await new Promise((done) => (ws.onopen = done));
      let left = n;
      const all = new Promise<void>((done) => {
        ws.onmessage = (e: MessageEvent<string>) => {
          for (const line of e.data.split("\n")) if ((JSON.parse(line) as { type: string }).type === "ack" && --left === 0) done();
        };
      });
      ws.send(JSON.stringify({ type: "hello", id: 1, protocol: 1, cursors: {} }));
      const hex = (v: number, width: number) => v.toString(16).padStart(width, "0");
      for (let i = 0; i < n; i++) {
        const clientId = `${hex(Date.now(), 12).replace(/^(.{8})/, "$1-")}-7000-8000-${hex(first + i, 12)}`;
        ws.send(JSON.stringify({ type: "send", id: i + 2, conversation: id, client_id: clientId, body: { text: `Việc số ${first + i}.` } }));
      }
      await all;
      ws.close();
    },
    [conversation, from, count] as const,
  );
}

it("makes a channel across agencies, and leads to the first of many unread messages", async () => {
  const an = await atChat("an");
  await an.getByRole("button", { name: "Bắt đầu trao đổi" }).click();
  await an.getByRole("menuitem", { name: "Lập kênh trao đổi" }).click();
  const dialog = an.getByRole("dialog", { name: "Lập kênh trao đổi" });
  await dialog.getByRole("button", { name: "Lập kênh" }).click();
  await dialog.getByText("Hãy đặt tên kênh").waitFor();
  await dialog.getByLabel("Tên kênh").fill("Chuẩn bị hội nghị giao ban");
  for (const [query, name] of [["kim chi", "Lê Thị Kim Chi"], ["thanh binh", "Trần Thanh Bình"]] as const) {
    await dialog.getByRole("textbox", { name: "Thành viên" }).fill(query);
    await an.getByRole("option", { name: new RegExp(name) }).click();
  }
  await expectAccessible(an);
  await screenshots(an, "chat-new-channel");
  await dialog.getByRole("button", { name: "Lập kênh" }).click();
  await an.waitForURL(/\/chat\/[0-9a-f-]{36}$/);
  await pane(an).getByText(/^Bạn đã lập kênh cùng .*Lê Thị Kim Chi/).waitFor();
  await pane(an).getByText("3 thành viên · 2 cơ quan").waitFor();
  const conversation = an.url().split("/").at(-1) ?? "";

  const chi = await atChat("chi");
  await list(chi).getByRole("link", { name: /Chuẩn bị hội nghị giao ban/ }).waitFor();
  // What becomes of a message that the server does not take, and of one sent again.
  let refuse = true;
  await chi.context().routeWebSocket(/chat\/socket/, (ws) => {
    const behind = ws.connectToServer();
    ws.onMessage((m) => {
      const { type, id } = JSON.parse(m.toString()) as { type: string; id: number };
      if (type === "send" && refuse) ws.send(JSON.stringify({ type: "error", id, code: "forbidden", detail: "" }));
      else behind.send(m);
    });
  });
  await chi.goto(an.url());
  await say(chi, "Có mặt");
  await pane(chi).getByRole("alert").getByText(/chưa được phép gửi ở đây/).waitFor();
  await expectAccessible(chi);
  await screenshots(chi, "chat-failed");
  refuse = false;
  await chi.reload();
  await pane(chi).getByRole("button", { name: "Gửi lại" }).click();
  await said(an, "Có mặt").waitFor();
  await chi.goto("/chat");
  const binh = await atChat("binh");
  await flood(an, conversation, 1, 90);
  await flood(binh, conversation, 91, 90);
  await chi.waitForFunction(() => document.title.startsWith("(99+) "));
  await said(an, "Việc số 180.").waitFor(); // at the end all the while
  await chi.getByRole("navigation", { name: "Các phần" }).getByRole("link", { name: "Hôm nay" }).click();
  await chi.getByRole("region", { name: "Tin nhắn chưa đọc" }).getByRole("link", { name: /Chuẩn bị hội nghị giao ban.*180 tin nhắn chưa đọc/ }).click();
  await said(chi, "Việc số 180.").waitFor();
  await chi.getByRole("button", { name: "180 tin chưa đọc, đến tin đầu tiên" }).waitFor();
  await screenshots(chi, "chat-many-unread");
  await chi.getByRole("button", { name: "180 tin chưa đọc, đến tin đầu tiên" }).click();
  await chi.getByRole("separator", { name: "Tin chưa đọc" }).waitFor();
  await said(chi, "Việc số 1.").waitFor();
  await expectAccessible(chi);
  await screenshots(chi, "chat-unread-divider");
  await chi.getByRole("button", { name: /tin mới|Tin mới nhất/ }).click();
  await said(chi, "Việc số 180.").waitFor();
  await chi.waitForFunction(() => !document.title.startsWith("("));

  await chi.getByRole("button", { name: "Thành viên kênh" }).click();
  const members = chi.getByRole("dialog", { name: "Thành viên kênh" });
  const dung = await atChat("dung", "/");
  await members.getByRole("textbox", { name: "Thêm người" }).fill("anh dung");
  await chi.getByRole("option", { name: /Phạm Anh Dũng/ }).click();
  await members.getByRole("button", { name: "Thêm 1 người" }).click();
  await members.getByText("4 thành viên").waitFor();
  await expectAccessible(chi);
  await screenshots(chi, "chat-members");
  await chi.keyboard.press("Escape");
  await pane(an).getByText("Lê Thị Kim Chi đã thêm Phạm Anh Dũng").waitFor();
  await dung.getByText("Bạn được thêm vào kênh “Chuẩn bị hội nghị giao ban”").first().waitFor();

  // Out of the channel, the page says what has become of it.
  await an.getByRole("button", { name: "Thành viên kênh" }).click();
  await an.getByRole("button", { name: "Đưa Lê Thị Kim Chi ra khỏi kênh" }).click();
  await an.getByRole("button", { name: "Đưa ra khỏi kênh", exact: true }).click();
  await chi.getByText("Không mở được cuộc trao đổi này").waitFor();
  await expectAccessible(chi);
  await screenshots(chi, "chat-gone");
  await Promise.all([an, binh, chi, dung].map((p) => p.context().close()));
});

it("shows what waits and what failed, and a menu by the keyboard", async () => {
  const page = await atChat("binh", "/");
  await page.route("**/api/v1/chat/conversations", (route) => route.fulfill({ status: 503, contentType: "application/problem+json", body: '{"status":503,"code":"unavailable","detail":""}' }));
  await page.goto("/chat");
  await page.getByText("Chưa tải được danh sách tin nhắn").waitFor();
  await expectAccessible(page);
  await screenshots(page, "chat-error");
  await page.unroute("**/api/v1/chat/conversations");
  await page.getByRole("button", { name: "Thử lại" }).click();
  await list(page).getByRole("listitem").first().waitFor();
  await page.getByRole("button", { name: "Bắt đầu trao đổi" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.getAttribute("role") === "menuitem"); // the first, once it stands there
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Nhắn cho một người" }).waitFor();
  await typeHere(page, "kim chi");
  await page.getByRole("option", { name: /Lê Thị Kim Chi/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Viết tin" }).click();
  await field(page).waitFor();
  expect(new URL(page.url()).searchParams.get("with")).toBeTruthy();
  await page.context().close();
});

it("tells of an invitation to a meeting and of new mail wherever one is", async () => {
  const chi = await atChat("chi");
  const an = await atChat("an");
  const who = await an.request.get("/api/v1/directory/people?q=kim%20chi");
  const { people } = (await who.json()) as { people: { id: string }[] };
  const made = await an.request.post("/api/v1/meetings", { data: { title: "Giao ban tuần", invite: people.map((p) => p.id) }, headers: { Origin: app.url } });
  expect(made.ok()).toBe(true);
  await chi.getByText("Giao ban tuần").first().waitFor();
  const bell = chi.getByRole("banner").getByRole("button", { name: /^Thông báo/ });
  await bell.filter({ hasText: /\d/ }).click();
  await chi.getByRole("link", { name: /Giao ban tuần/ }).waitFor();
  await bell.click();
  // What has been seen is not new again after a reload, and still there.
  await chi.reload();
  await bell.click();
  await chi.getByRole("link", { name: /Giao ban tuần/ }).waitFor();
  expect(await bell.getAttribute("aria-label")).toBe("Thông báo");
  await bell.click();

  // A notice leads to its place by a button that says so, and is no news to who has been there.
  const toasted = chi.getByRole("alert").filter({ hasText: "mời bạn họp" });
  const invite = async (title: string, starts_at?: string) => {
    const answer = await an.request.post("/api/v1/meetings", { data: { title, starts_at, invite: people.map((p) => p.id) }, headers: { Origin: app.url } });
    expect(answer.ok()).toBe(true);
  };
  await invite("Họp nhanh");
  await toasted.filter({ hasText: "Họp nhanh" }).getByRole("button", { name: "Vào họp" }).waitFor();
  await expectAccessible(chi);
  await screenshots(chi, "toast");
  await invite("Họp khác", new Date(Date.now() + 3_600_000).toISOString());
  await toasted.filter({ hasText: "Họp khác" }).getByRole("button", { name: "Xem cuộc họp" }).waitFor();
  await chi.getByRole("button", { name: "Thông báo, 2 mục mới" }).waitFor();
  await toasted.filter({ hasText: "Họp nhanh" }).getByRole("button", { name: "Vào họp" }).click();
  await chi.waitForURL(/\/meetings\/./);
  await toasted.filter({ hasText: "Họp nhanh" }).waitFor({ state: "detached" });
  await chi.goto("/"); // loads the page anew
  await chi.getByRole("button", { name: "Thông báo, 1 mục mới" }).waitFor();
  const sent = await an.request.post("/api/v1/mail/send", { data: { to: ["chi@hanoi.g2g.example"], subject: "Giấy mời", text: "Kính mời" }, headers: { Origin: app.url } });
  expect(sent.ok()).toBe(true);
  await chi.getByText("Có thư mới").first().waitFor();
  // A toast covers neither the header's actions nor, on a phone, the bar below.
  const before = chi.viewportSize()!;
  for (const [width, height] of [[1280, 800], [390, 844]] as const) {
    await chi.setViewportSize({ width, height });
    const toast = chi.getByRole("alert").filter({ hasText: "Có thư mới" });
    // It slides in from the side.
    await expect.poll(async () => ((await toast.boundingBox())?.x ?? width) + ((await toast.boundingBox())?.width ?? 0)).toBeLessThanOrEqual(width);
    const box = (await toast.boundingBox())!;
    expect(box.x).toBeGreaterThanOrEqual(0);
    expect(box.y).toBeGreaterThan(height / 2);
    const rail = (await chi.getByRole("navigation").first().boundingBox())!;
    if (width === 390) expect(box.y + box.height).toBeLessThanOrEqual(rail.y);
  }
  await chi.setViewportSize(before);
  await chi.getByRole("link", { name: /^Thư.*1 mục chờ/ }).waitFor();
  await Promise.all([an, chi].map((p) => p.context().close()));
});
