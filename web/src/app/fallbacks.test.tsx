import { createRoute } from "@tanstack/react-router";
import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import { ApiError, type ErrorCode } from "../api/error";
import type { FeatureRoutes } from "../lib/feature";
import { renderRoutes } from "../testing/render";
import { PageError } from "./fallbacks";

afterEach(() => vi.restoreAllMocks());

function failing(error: () => Error | null): FeatureRoutes {
  return (parent) => [
    createRoute({
      getParentRoute: () => parent,
      path: "/",
      errorComponent: PageError,
      component: function Page() {
        const err = error();
        if (err) throw err;
        return <p>Nội dung trang</p>;
      },
    }),
  ];
}

it.each<[ErrorCode, RegExp, boolean]>([
  ["forbidden", /đề nghị quản trị của cơ quan cấp quyền/, false],
  ["offline", /kiểm tra mạng/, true],
  ["unavailable", /thử lại sau ít giây/, true],
  ["internal", /báo cho quản trị/, true],
])("says in words what %s means, never the exception's own", async (code, words, retry) => {
  vi.spyOn(console, "error").mockImplementation(() => {}); // React reports what it caught
  renderRoutes(failing(() => new ApiError(code, 500, "pq: relation secret does not exist")), "/");
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toMatch(words);
  expect(document.body.textContent).not.toContain("secret");
  expect(screen.queryByRole("button", { name: "Thử lại" }) !== null).toBe(retry);
});

it("draws the page when trying again succeeds", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  let broken = true;
  renderRoutes(failing(() => (broken ? new ApiError("offline", 0, "") : null)), "/");
  const again = await screen.findByRole("button", { name: "Thử lại" });
  broken = false;
  await userEvent.click(again);
  await screen.findByText("Nội dung trang");
});
