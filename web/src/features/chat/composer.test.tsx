import { fireEvent, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { setConnection } from "../../api/connection";
import { renderPart } from "../../testing/render";
import { Composer } from "./components/Composer";

const place = () => screen.findByRole("textbox", { name: "Viết cho Chi" });

describe("the composer", () => {
  beforeEach(() => setConnection("online"));
  const show = (onSend: (text: string) => boolean | Promise<boolean>, maxBytes = 100) =>
    renderPart(<Composer draft="chat.an.c1" to="Chi" maxBytes={maxBytes} onSend={onSend} />);

  it("sends with Enter, not while a word is composed, and makes lines with Shift", async () => {
    const send = vi.fn(() => true);
    show(send);
    const field = await place();
    fireEvent.compositionStart(field);
    fireEvent.change(field, { target: { value: "tieengs" } });
    fireEvent.keyDown(field, { key: "Enter", keyCode: 229, isComposing: true });
    fireEvent.compositionEnd(field);
    fireEvent.change(field, { target: { value: "tiếng" } });
    fireEvent.keyDown(field, { key: "Enter", keyCode: 229 }); // Safari, after the end
    expect(send).not.toHaveBeenCalled();
    await userEvent.type(field, "{Shift>}{Enter}{/Shift}Việt");
    expect(field).toHaveProperty("value", "tiếng\nViệt");
    await userEvent.type(field, "{Enter}");
    expect(send.mock.calls).toEqual([["tiếng\nViệt"]]);
    await waitFor(() => expect(field).toHaveProperty("value", ""));
  });

  it("keeps what was not taken, over a reload of the page", async () => {
    const { unmount } = show(() => Promise.resolve(false));
    await userEvent.type(await place(), "Chưa gửi được{Enter}");
    expect(await place()).toHaveProperty("value", "Chưa gửi được");
    unmount();
    show(() => true);
    expect(await place()).toHaveProperty("value", "Chưa gửi được");
  });

  it("sends nothing blank, and says how much too long a text is in the server's measure", async () => {
    const send = vi.fn(() => true);
    show(send, 10);
    const field = await place();
    await userEvent.type(field, "   {Enter}");
    await userEvent.clear(field);
    await userEvent.type(field, "Đề nghị{Enter}"); // 7 letters, 11 bytes
    await screen.findByText(/Tin dài quá 2 byte/);
    expect(send).not.toHaveBeenCalled();
  });

  it("says what becomes of a message while the server is away", async () => {
    show(() => true);
    await place();
    expect(screen.queryByText(/tự gửi khi kết nối lại/)).toBeNull();
    setConnection("offline");
    await screen.findByText(/tự gửi khi kết nối lại/);
  });
});
