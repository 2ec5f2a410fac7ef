import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "../../api/session";
import { createRoute } from "@tanstack/react-router";
import { act, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it } from "vitest";
import { data, api } from "../../api/client";
import { codeOf } from "../../api/error";
import { forgetLock, lockPage, useLock } from "../../api/lock";
import type { FeatureRoutes } from "../../lib/feature";
import { an, renderRoutes } from "../../testing/render";
import { serve } from "../../testing/server";
import Background from "./components/Background";

function Agencies() {
  const { data: list, error } = useQuery({ queryKey: ["agencies"], retry: false, queryFn: () => data(api.GET("/api/v1/directory/agencies")) });
  return <p>{error ? `failed: ${codeOf(error)}` : list ? "the list" : "waiting"}</p>;
}

function SignedIn() {
  return useQuery(sessionQuery).data ? <Background /> : null;
}

const routes: FeatureRoutes = (parent) => [
  createRoute({
    getParentRoute: () => parent,
    path: "/",
    component: () => (
      <>
        <Agencies />
        <SignedIn />
      </>
    ),
  }),
  createRoute({ getParentRoute: () => parent, path: "/sign-in", component: () => <h1>Đăng nhập</h1> }),
];

beforeEach(() => {
  // jsdom knows the element, not its modal form.
  HTMLDialogElement.prototype.showModal = function (this: HTMLDialogElement) {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function (this: HTMLDialogElement) {
    this.open = false;
  };
});
afterEach(() => act(() => forgetLock()));

const refused = { status: 423, body: { status: 423, code: "locked", detail: "x" } };

function server(locked: boolean) {
  let open = false;
  const current = () => ({ body: { ...an, locked: locked && !open } });
  return serve({
    "GET /api/v1/sessions/current": current,
    "GET /api/v1/directory/agencies": () => (open ? { body: { agencies: [] } } : refused),
    "POST /api/v1/sessions/current/unlock": async (request) => {
      if (((await request.json()) as { password?: string }).password !== "right") return { status: 401, body: { status: 401, code: "unauthenticated", detail: "x" } };
      open = true;
      return { status: 204 };
    },
    "DELETE /api/v1/sessions/current": { status: 204 },
  });
}

it("covers the page when the session is locked, and sends again what waited once it is open", async () => {
  const user = userEvent.setup();
  const { calls } = server(true);
  renderRoutes(routes, "/");
  await screen.findByRole("dialog", { name: "Phiên đã khóa" });
  expect(screen.getByText("waiting")).toBeTruthy();
  await user.type(screen.getByLabelText("Mật khẩu hiện tại"), "wrong{Enter}");
  expect((await screen.findByRole("alert")).textContent).toContain("Mật khẩu chưa đúng");
  await user.clear(screen.getByLabelText("Mật khẩu hiện tại"));
  await user.type(screen.getByLabelText("Mật khẩu hiện tại"), "right{Enter}");
  await screen.findByText("the list");
  expect(screen.queryByRole("dialog")).toBeNull();
  expect(calls.filter((c) => c.path === "/api/v1/directory/agencies")).toHaveLength(2);
});

it("asks for a fresh proof where one act wants it; who declines goes on without", async () => {
  const user = userEvent.setup();
  server(false);
  renderRoutes(routes, "/");
  await screen.findByRole("dialog", { name: "Xác nhận đó là bạn" });
  await user.click(screen.getByRole("button", { name: "Hủy" }));
  await screen.findByText("failed: locked");
  expect(screen.queryByRole("dialog")).toBeNull();
});

it("opens with another tab, and locks with it", async () => {
  serve({ "GET /api/v1/sessions/current": { body: an }, "GET /api/v1/directory/agencies": { body: { agencies: [] } } });
  renderRoutes(routes, "/");
  await screen.findByText("the list");
  const other = new BroadcastChannel("commsd.lock");
  other.postMessage("locked");
  await screen.findByRole("dialog", { name: "Phiên đã khóa" });
  other.postMessage("open");
  await waitFor(() => expect(useLock.getState().lock).toBe("open"));
  other.close();
});

it("signs out instead", async () => {
  const user = userEvent.setup();
  server(true);
  renderRoutes(routes, "/");
  await user.click(await screen.findByRole("button", { name: "Đăng xuất" }));
  await screen.findByRole("heading", { name: "Đăng nhập" });
});

it("names no conversation in the tab while it is locked", async () => {
  serve({ "GET /api/v1/sessions/current": { body: { ...an, locked: true } }, "GET /api/v1/directory/agencies": { body: { agencies: [] } } });
  document.title = "Lê Thị Kim Chi · commsd";
  renderRoutes(routes, "/");
  await screen.findByText("the list");
  act(() => lockPage());
  await screen.findByRole("dialog");
  expect(document.title).toBe("Phiên đã khóa · commsd");
});
