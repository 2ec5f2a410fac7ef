import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { createRoute } from "@tanstack/react-router";
import { expect, it } from "vitest";
import { an, renderRoutes } from "../testing/render";
import { serve } from "../testing/server";
import { SignInPage } from "./SignInPage";
import type { FeatureRoutes } from "../lib/feature";

const routes: FeatureRoutes = (parent) => [
  createRoute({ getParentRoute: () => parent, path: "/sign-in", component: SignInPage }),
  createRoute({ getParentRoute: () => parent, path: "/", component: () => <h1>Hôm nay</h1> }),
];

const info = { body: { name: "commsd", version: "test", demo: false } };
const asks = (...next: string[]) => ({ status: 202, body: { ticket: "ticket-1", next, ...(next.includes("change_password") && { min_password: 15 }) } });
const refused = (status: number, code: string, errors?: unknown) => ({ status, body: { status, code, detail: "x", errors } });

async function typePassword(user: ReturnType<typeof userEvent.setup>) {
  await user.type(await screen.findByLabelText("Tên đăng nhập"), "an@noivu.g2g.example");
  await user.type(screen.getByLabelText("Mật khẩu"), "secret words here{Enter}");
}

it("asks for the code of the authenticator, takes one pasted with spaces, and goes on", async () => {
  const user = userEvent.setup();
  let tries = 0;
  const { calls } = serve({
    "GET /api/v1/info": info,
    "POST /api/v1/sessions": asks("totp", "recovery_code"),
    "POST /api/v1/sessions/next": () => (++tries === 1 ? refused(401, "unauthenticated") : { status: 201, body: an }),
  });
  const { address } = renderRoutes(routes, "/sign-in", { session: null });
  await typePassword(user);
  const field = (await screen.findByLabelText("Mã sáu chữ số")) as HTMLInputElement;
  expect(field.autocomplete).toBe("one-time-code");
  expect(field.inputMode).toBe("numeric");
  expect(document.activeElement).toBe(field);
  await user.click(field);
  await user.paste(" 123 456 ");
  expect(field.value).toBe("123456");
  await user.keyboard("{Enter}");
  expect((await screen.findByRole("alert")).textContent).toContain("Mã chưa đúng hoặc đã dùng rồi");
  await user.clear(field);
  await user.type(field, "654-321{Enter}");
  await screen.findByRole("heading", { name: "Hôm nay" });
  expect(address()).toBe("/");
  expect(calls.filter((c) => c.path.endsWith("/next")).map((c) => c.body)).toEqual([
    { ticket: "ticket-1", totp: "123456" },
    { ticket: "ticket-1", totp: "654321" },
  ]);
});

it("takes a recovery code instead", async () => {
  const user = userEvent.setup();
  const { calls } = serve({ "GET /api/v1/info": info, "POST /api/v1/sessions": asks("totp", "recovery_code"), "POST /api/v1/sessions/next": { status: 201, body: an } });
  renderRoutes(routes, "/sign-in", { session: null });
  await typePassword(user);
  await user.click(await screen.findByRole("button", { name: "Dùng mã dự phòng" }));
  await user.type(screen.getByLabelText("Mã dự phòng"), "abcd-efgh{Enter}");
  await screen.findByRole("heading", { name: "Hôm nay" });
  expect(calls.at(-1)?.body).toEqual({ ticket: "ticket-1", recovery_code: "abcd-efgh" });
});

it("begins again with the login kept when the ticket is no more", async () => {
  const user = userEvent.setup();
  serve({ "GET /api/v1/info": info, "POST /api/v1/sessions": asks("totp"), "POST /api/v1/sessions/next": refused(410, "gone") });
  renderRoutes(routes, "/sign-in", { session: null });
  await typePassword(user);
  await user.type(await screen.findByLabelText("Mã sáu chữ số"), "123456{Enter}");
  await screen.findByText("Lần đăng nhập vừa rồi đã hết hạn");
  expect((screen.getByLabelText("Tên đăng nhập") as HTMLInputElement).value).toBe("an@noivu.g2g.example");
  expect((screen.getByLabelText("Mật khẩu") as HTMLInputElement).value).toBe("");
});

it("says how long to wait when codes came too fast", async () => {
  const user = userEvent.setup();
  serve({
    "GET /api/v1/info": info,
    "POST /api/v1/sessions": asks("totp"),
    "POST /api/v1/sessions/next": { ...refused(429, "rate_limited"), headers: { "Retry-After": "7" } },
  });
  renderRoutes(routes, "/sign-in", { session: null });
  await typePassword(user);
  await user.type(await screen.findByLabelText("Mã sáu chữ số"), "123456{Enter}");
  expect((await screen.findByRole("alert")).textContent).toContain("Hãy đợi 7 giây");
});

it("takes a code of an administrator, then a new password by rules said beforehand", async () => {
  const user = userEvent.setup();
  let tries = 0;
  const { calls } = serve({
    "GET /api/v1/info": info,
    "POST /api/v1/sessions/code": asks("change_password"),
    "POST /api/v1/sessions/next": () => (++tries === 1 ? refused(422, "invalid", [{ location: "body.new_password", message: "common" }]) : { status: 201, body: an }),
  });
  const { address } = renderRoutes(routes, "/sign-in", { session: null });
  await user.click(await screen.findByRole("link", { name: "Tôi có mã mời hoặc mã đặt lại" }));
  await user.type(await screen.findByLabelText("Tên đăng nhập"), "an@noivu.g2g.example");
  await user.type(screen.getByLabelText("Mã"), "ABCD-EFGH-JKLM-NPQR{Enter}");
  await screen.findByText("Ít nhất 15 ký tự");
  const field = screen.getByLabelText("Mật khẩu mới") as HTMLInputElement;
  await user.type(field, "ngắn");
  expect(screen.getByText("Ít nhất 15 ký tự").textContent).toContain("chưa đạt");
  await user.click(screen.getByRole("button", { name: "Đặt mật khẩu" }));
  await screen.findByText("Mật khẩu cần ít nhất 15 ký tự");
  expect(calls.some((c) => c.path.endsWith("/next"))).toBe(false);

  await user.clear(field);
  await user.type(field, "một câu dài dễ nhớ");
  expect(screen.getByText("Ít nhất 15 ký tự").textContent).toContain(": đã đạt");
  await user.type(screen.getByLabelText("Nhập lại mật khẩu mới"), "một câu khác");
  await user.click(screen.getByRole("button", { name: "Đặt mật khẩu" }));
  await screen.findByText("Hai lần nhập chưa giống nhau");

  await user.clear(screen.getByLabelText("Nhập lại mật khẩu mới"));
  await user.type(screen.getByLabelText("Nhập lại mật khẩu mới"), "một câu dài dễ nhớ{Enter}");
  await screen.findByText(/nằm trong danh sách hay bị dò trước tiên/);
  await user.type(field, "!");
  await user.type(screen.getByLabelText("Nhập lại mật khẩu mới"), "!{Enter}");
  await waitFor(() => expect(address()).toBe("/"));
  expect(calls.find((c) => c.path.endsWith("/code"))?.body).toEqual({ login: "an@noivu.g2g.example", code: "ABCD-EFGH-JKLM-NPQR" });
  expect(calls.at(-1)?.body).toEqual({ ticket: "ticket-1", new_password: "một câu dài dễ nhớ!" });
});

it("has administrators set up an authenticator and keep recovery codes before they go to work", async () => {
  const user = userEvent.setup();
  const codes = Array.from({ length: 10 }, (_, i) => `code-${i}aaa-bbbb`);
  const { calls } = serve({
    "GET /api/v1/info": info,
    "POST /api/v1/sessions": asks("enroll"),
    "POST /api/v1/sessions/next/totp": { body: { secret: "JBSWY3DPEHPK3PXP", qr: "data:image/svg+xml,<svg/>", uri: "otpauth://x" } },
    "POST /api/v1/sessions/next": { status: 201, body: an },
    "POST /api/v1/account/recovery-codes": { status: 201, body: { codes } },
  });
  const { address } = renderRoutes(routes, "/sign-in", { session: null });
  await typePassword(user);
  await user.click(await screen.findByRole("button", { name: "Cài ứng dụng xác thực" }));
  await screen.findByText("JBSW Y3DP EHPK 3PXP");
  await user.type(screen.getByLabelText("Mã sáu chữ số"), "123456{Enter}");
  await screen.findByText(codes[9] ?? "");
  const enter = screen.getByRole("button", { name: "Vào làm việc" });
  expect((enter as HTMLButtonElement).disabled).toBe(true);
  expect(address()).toContain("/sign-in");
  await user.click(screen.getByRole("checkbox", { name: "Tôi đã cất giữ các mã này" }));
  await user.click(enter);
  await waitFor(() => expect(address()).toBe("/"));
  expect(calls.map((c) => `${c.method} ${c.path}`)).toContain("POST /api/v1/account/recovery-codes");
});

it("leads back from a step to the password", async () => {
  const user = userEvent.setup();
  serve({ "GET /api/v1/info": info, "POST /api/v1/sessions": asks("totp") });
  renderRoutes(routes, "/sign-in", { session: null });
  await typePassword(user);
  await user.click(await screen.findByRole("button", { name: "Đăng nhập bằng tài khoản khác" }));
  expect(((await screen.findByLabelText("Tên đăng nhập")) as HTMLInputElement).value).toBe("an@noivu.g2g.example");
});
