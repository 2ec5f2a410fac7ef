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
  createRoute({ getParentRoute: () => parent, path: "/meetings", component: () => <h1>Họp</h1> }),
];

const info = { body: { name: "commsd", version: "test", demo: false } };

it.each([
  [401, "unauthenticated", "Tên đăng nhập hoặc mật khẩu chưa đúng"],
  [429, "rate_limited", "Có quá nhiều lần thử trong chốc lát"],
  [503, "unavailable", "Chưa kết nối được máy chủ"],
  [500, "internal", "Chưa đăng nhập được"],
])("says what a %i means and keeps what was typed", async (status, code, words) => {
  const user = userEvent.setup();
  serve({ "GET /api/v1/info": info, "POST /api/v1/sessions": { status, body: { status, code, detail: "x" } } });
  renderRoutes(routes, "/sign-in", { session: null });
  await user.type(await screen.findByLabelText("Tên đăng nhập"), "an@noivu.g2g.example");
  await user.type(screen.getByLabelText("Mật khẩu"), "secret words here");
  await user.click(screen.getByRole("button", { name: "Đăng nhập" }));
  expect((await screen.findByRole("alert")).textContent).toContain(words);
  expect((screen.getByLabelText("Tên đăng nhập") as HTMLInputElement).value).toBe("an@noivu.g2g.example");
  expect((screen.getByLabelText("Mật khẩu") as HTMLInputElement).value).toBe("secret words here");
});

it("returns to where one came from", async () => {
  const user = userEvent.setup();
  const { calls } = serve({ "GET /api/v1/info": info, "POST /api/v1/sessions": { status: 201, body: an } });
  const { address } = renderRoutes(routes, "/sign-in?to=%2Fmeetings&ended=1", { session: null });
  await screen.findByText("Phiên làm việc đã kết thúc");
  await user.type(screen.getByLabelText("Tên đăng nhập"), " an@noivu.g2g.example ");
  await user.type(screen.getByLabelText("Mật khẩu"), "p{Enter}");
  await screen.findByRole("heading", { name: "Họp" });
  await waitFor(() => expect(address()).toBe("/meetings"));
  expect(calls.find((c) => c.method === "POST" && c.path === "/api/v1/sessions")?.body).toEqual({ login: "an@noivu.g2g.example", password: "p" });
});
