import type { Page } from "playwright-core";
import { people, type Server, type Who } from "./harness";

/** Somebody signed in, seen from the API. */
export interface Hand {
  page: Page;
  id: string;
  api<T>(method: "get" | "post", path: string, data?: unknown): Promise<T>;
  /** Sends messages to a conversation over the socket, one after the other. */
  say(conversation: string, ...texts: string[]): Promise<void>;
}

/** Signs in by the API: for what a test needs, but is not about. */
export async function hand(app: Server, who: Who): Promise<Hand> {
  const page = await app.newPage();
  const api = async <T>(method: "get" | "post", path: string, data?: unknown): Promise<T> => {
    const answer = await page.request[method](path, { data, headers: { Origin: app.url } });
    if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${await answer.text()}`);
    return (await answer.json()) as T;
  };
  const info = await api<{ demo_password: string }>("get", "/api/v1/info");
  const session = await api<{ person: { id: string } }>("post", "/api/v1/sessions", { login: people[who], password: info.demo_password });
  const say = async (conversation: string, ...texts: string[]) => {
    if (page.url() === "about:blank") await page.goto("/icon.svg"); // a page of the site that runs nothing of its own
    await page.evaluate(
      ({ conversation, texts }) =>
        new Promise<void>((done, fail) => {
          const ws = new WebSocket(`${location.origin.replace("http", "ws")}/api/v1/chat/socket`);
          const tell = (message: object) => ws.send(JSON.stringify(message));
          // UUIDv7 (RFC 9562 section 5.7): the server takes no other.
          const newID = () => {
            const time = Date.now().toString(16).padStart(12, "0");
            return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
          };
          let sent = 0;
          const next = () => {
            if (sent === texts.length) return ws.close(), done();
            tell({ type: "send", id: sent + 2, conversation, client_id: newID(), body: { text: texts[sent] } });
            sent++;
          };
          ws.onopen = () => tell({ type: "hello", id: 1, protocol: 1, user_seq: 0, user_event_id: "", cursors: {} });
          ws.onclose = (e) => fail(new Error(`the socket closed with ${e.code} ${e.reason}`));
          ws.onmessage = (e: MessageEvent<string>) => {
            for (const line of e.data.split("\n").filter(Boolean)) {
              const m = JSON.parse(line) as { type: string; code?: string };
              if (m.type === "welcome" || m.type === "ack") next();
              if (m.type === "error") fail(new Error(line));
            }
          };
        }),
      { conversation, texts },
    );
  };
  return { page, id: session.person.id, api, say };
}

/** What the day of An holds, for pages to be looked at: ids of one of each. */
export interface Day {
  meeting: string;
  conversation: string;
  channel: string;
  chi: string;
}

/** Meetings, messages and mail as an ordinary morning brings them. */
export async function fillDay(app: Server): Promise<Day> {
  const [an, binh, chi, dung] = await Promise.all((["an", "binh", "chi", "dung"] as const).map((who) => hand(app, who)));
  if (!an || !binh || !chi || !dung) throw new Error("nobody is there");

  // Not across midnight, where "today" would end: the lists then say a date.
  const at = (minutes: number) => new Date(Math.ceil(Date.now() / 900_000) * 900_000 + minutes * 60_000).toISOString();
  const meet = (by: Hand, title: string, starts_at: string | undefined, ...invite: Hand[]) =>
    by.api<{ id: string }>("post", "/api/v1/meetings", { title, starts_at, invite: invite.map((h) => h.id) });
  const meeting = await meet(chi, "Góp ý dự thảo Đề án sắp xếp đơn vị hành chính", at(30), an, dung);
  await meet(binh, "Giao ban Vụ Cải cách hành chính", at(90), an);
  await meet(an, "Rà soát bộ chỉ số cải cách hành chính năm 2026", at(26 * 60), binh, chi, dung);

  const direct = await chi.api<{ id: string }>("post", "/api/v1/chat/conversations", { kind: "direct", person: an.id });
  const channel = await binh.api<{ id: string }>("post", "/api/v1/chat/conversations", {
    kind: "channel", title: "Tổ soạn thảo Đề án 2026", people: [an.id, chi.id, dung.id],
  });
  await chi.say(direct.id, "Chào anh An, Văn phòng đã gửi ý kiến góp ý theo công văn sáng nay.");
  await an.say(direct.id, "Cảm ơn chị, tôi đã nhận được. Chiều nay ta trao đổi kỹ phần biên chế.");
  await chi.say(direct.id, "Vâng, tôi sẽ mang theo số liệu của ba quận.", "Anh xem giúp phụ lục 2 trước nhé.");
  await binh.say(channel.id, "Mọi người cập nhật tiến độ phần mình trước 16 giờ hôm nay.");
  await dung.say(channel.id, "Phần của Sở Nội vụ Hà Nội đã xong, đang chờ lãnh đạo cho ý kiến.");

  const write = (by: Hand, subject: string, ...text: string[]) =>
    by.api("post", "/api/v1/mail/send", { to: [people.an], subject, text: text.join("\n\n") });
  await write(
    chi, "Góp ý dự thảo Đề án sắp xếp đơn vị hành chính", "Kính gửi anh An,",
    "Văn phòng UBND thành phố cơ bản nhất trí với dự thảo và đề nghị làm rõ thêm lộ trình sắp xếp biên chế tại mục III.",
    "Trân trọng,\nLê Thị Kim Chi",
  );
  await write(dung, "Số liệu biên chế các quận, huyện đến 31/10", "Gửi anh số liệu tổng hợp theo yêu cầu của Bộ. Phần của huyện Ba Vì đang được rà soát lại.");
  await write(binh, "Lịch công tác tuần 48", "Chuyển các đồng chí lịch công tác tuần 48. Đề nghị báo lại nếu có thay đổi.");
  await Promise.all([an, binh, chi, dung].map((h) => h.page.context().close()));
  return { meeting: meeting.id, conversation: direct.id, channel: channel.id, chi: chi.id };
}
