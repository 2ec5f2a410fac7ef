import { describe, expect, it } from "vitest";
import {
  addEntries, doubts, emptyLetter, forwardLetter, forwardSubject, isAddress, newId, quote, readAddress, replyLetter, replyRecipients, replySubject,
  splitEntries, wrongEntries, writeAddress, type Address, type Message,
} from "./letter";

const a = (address: string, name = ""): Address => ({ name, address });
const chi = a("chi@hanoi.g2g.example", "Lê Thị Kim Chi");
const an = a("an@noivu.g2g.example", "Nguyễn Văn An");
const binh = a("binh@noivu.g2g.example", "Trần Thanh Bình");

const message = (fields: Partial<Message>): Message => ({
  id: "m1", mailbox: "b1", subject: "Họp giao ban", from: [an], to: [chi], cc: [], reply_to: [], received_at: "2026-11-25T01:00:00Z", preview: "", seen: true,
  flagged: false, answered: false, draft: false, attachments: 0, size: 1, message_id: "abc@noivu", references: ["first@noivu"], text: "Kính gửi chị", has_html: false,
  remote_images: false, attachment_parts: [], raw_url: "", ...fields,
});

describe("addresses", () => {
  it("are read and written with and without a name", () => {
    expect(readAddress(' "Lê, Chi" <chi@hanoi.g2g.example> ')).toEqual(a("chi@hanoi.g2g.example", "Lê, Chi"));
    expect(readAddress("chi@hanoi.g2g.example")).toEqual(a("chi@hanoi.g2g.example"));
    expect(writeAddress(chi)).toBe("Lê Thị Kim Chi <chi@hanoi.g2g.example>");
    expect(writeAddress(a("x@y.example", "x@y.example"))).toBe("x@y.example");
    expect(writeAddress(a("x@y.example", 'A" <evil@z.example>\r\nBcc: q'))).toBe("A evil@z.example Bcc: q <x@y.example>");
  });

  it.each(["a@b.example", "văn@", "nguyen.van-an+tp@noi-vu.gov.vn", "o'neil@x.example"])("%s", (text) => {
    expect(isAddress(text)).toBe(text !== "văn@");
  });

  it.each(["", "chi", "chi@", "@hanoi.vn", "chi@hanoi", "chi chi@hanoi.vn", "a..b@hanoi.vn", ".a@hanoi.vn", "a@-x.vn", "đức@hanoi.vn", "a@b@c", `${"a".repeat(65)}@x.vn`])(
    "refuses %s",
    (text) => expect(isAddress(text)).toBe(false),
  );

  it("takes domains with marks", () => expect(isAddress("an@nộivụ.vn")).toBe(true));

  it("come out of what is pasted, however it is parted", () => {
    expect(splitEntries('"Lê, Chi" <chi@hanoi.g2g.example>; an@noivu.g2g.example,\n Trần Bình <binh@noivu.g2g.example>')).toEqual([
      '"Lê, Chi" <chi@hanoi.g2g.example>', "an@noivu.g2g.example", "Trần Bình <binh@noivu.g2g.example>",
    ]);
    expect(splitEntries("a@x.vn b@x.vn\tc@x.vn")).toEqual(["a@x.vn", "b@x.vn", "c@x.vn"]);
    expect(splitEntries("Kim Chi")).toEqual(["Kim Chi"]);
    expect(splitEntries(" ,;\n ")).toEqual([]);
    expect(splitEntries("\u202ean@x.vn\u200b")).toEqual(["an@x.vn"]); // marks that turn text around
  });

  it("stand once in a list", () => {
    expect(addEntries(["An <an@x.vn>"], ["AN@x.vn", "b@x.vn", "b@x.vn"])).toEqual(["An <an@x.vn>", "b@x.vn"]);
    expect(wrongEntries(["An <an@x.vn>", "kim chi", "b@"])).toEqual(["kim chi", "b@"]);
  });
});

describe("subjects", () => {
  it.each([
    ["Họp giao ban", "Re: Họp giao ban"],
    ["Re: Họp giao ban", "Re: Họp giao ban"],
    ["RE: re : Trả lời: Họp", "Re: Họp"],
    ["Re[2]: Họp", "Re: Họp"],
    ["Fwd: Họp", "Re: Fwd: Họp"],
    ["Rèn luyện", "Re: Rèn luyện"],
    ["", "Re:"],
  ])("%s is answered as %s", (subject, want) => expect(replySubject(subject)).toBe(want));

  it.each([
    ["Họp", "Fwd: Họp"],
    ["FW: Chuyển tiếp: Họp", "Fwd: Họp"],
    ["Re: Họp", "Fwd: Re: Họp"],
  ])("%s is forwarded as %s", (subject, want) => expect(forwardSubject(subject)).toBe(want));
});

describe("who gets an answer", () => {
  const own = ["CHI@hanoi.g2g.example"];
  const w = writeAddress;

  it("is who wrote", () => expect(replyRecipients(message({ to: [chi, binh] }), own, false)).toEqual({ to: [w(an)], cc: [] }));
  it("is where answers are wanted", () => {
    expect(replyRecipients(message({ reply_to: [binh] }), own, false).to).toEqual([w(binh)]);
  });
  it("is everybody but oneself, each once", () => {
    const m = message({ to: [chi, binh, a("AN@noivu.g2g.example")], cc: [a("dung@hanoi.g2g.example"), binh, chi] });
    expect(replyRecipients(m, own, true)).toEqual({ to: [w(an), w(binh)], cc: ["dung@hanoi.g2g.example"] });
  });
  it("is who got it, when one goes on with one's own", () => {
    const m = message({ from: [chi], to: [an, chi], cc: [binh] });
    expect(replyRecipients(m, own, false)).toEqual({ to: [w(an)], cc: [] });
    expect(replyRecipients(m, own, true)).toEqual({ to: [w(an)], cc: [w(binh)] });
  });
  it("is oneself, when nobody else was in it", () => {
    expect(replyRecipients(message({ from: [chi], to: [chi] }), own, true)).toEqual({ to: [w(chi)], cc: [] });
  });
  it("leaves out what is no address", () => {
    expect(replyRecipients(message({ from: [a("", "Ẩn danh")], to: null }), own, true)).toEqual({ to: [], cc: [] });
  });
});

describe("what is quoted", () => {
  it("stands behind marks, older quotes deeper", () => {
    expect(quote("Chào\r\n\r\n> cũ\n\n")).toBe("> Chào\n>\n>> cũ");
  });
  it("is cut where it is endless", () => {
    const text = quote("x".repeat(300_000));
    expect(text.length).toBeLessThan(101_000);
    expect(text.endsWith("> […]")).toBe(true);
  });
  it("comes below an empty line for the answer, which names what it answers", () => {
    const l = replyLetter(message({ references: Array.from({ length: 50 }, (_, i) => `${i}@x`) }), ["chi@hanoi.g2g.example"], false, { wrote: "An viết:", forwarded: "" });
    expect(l.text).toBe("\n\nAn viết:\n> Kính gửi chị\n");
    expect(l).toMatchObject({ subject: "Re: Họp giao ban", in_reply_to: "abc@noivu", answers: "m1" });
    expect(l.references).toHaveLength(30);
    expect(l.references?.at(-1)).toBe("49@x");
  });
  it("is whole and unmarked when forwarded, and no answer", () => {
    const l = forwardLetter(message({}), { wrote: "", forwarded: "Từ: An" });
    expect(l.text).toBe("\n\nTừ: An\n\nKính gửi chị\n");
    expect(l.in_reply_to ?? l.answers).toBeUndefined();
    expect(l.to).toEqual([]);
  });
});

describe("before sending", () => {
  it("asks for a subject and for the file that the text speaks of", () => {
    expect(doubts({ ...emptyLetter, text: "Em gửi kèm biên bản" }, 0)).toEqual(["noSubject", "noFile"]);
    expect(doubts({ ...emptyLetter, subject: "Biên bản", text: "Xem tệp đính kèm".normalize("NFD") }, 0)).toEqual(["noFile"]);
    expect(doubts({ ...emptyLetter, subject: "Biên bản", text: "Xem tệp đính kèm" }, 1)).toEqual([]);
    expect(doubts({ ...emptyLetter, subject: "Re: Biên bản", text: "Đã nhận\n> Xem tệp đính kèm" }, 0)).toEqual([]);
  });
  it("makes ids that are UUIDs", () => {
    expect(newId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(newId()).not.toBe(newId());
  });
});
