import { createRoute } from "@tanstack/react-router";
import { act, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { renderRoutes } from "../../testing/render";
import { Call, type Member } from "./call";
import { Notices } from "./components/Notices";
import { Tile } from "./components/Tile";
import { LocalMedia } from "./local-media";
import { FakeWorld } from "./testing/room";

beforeEach(() => vi.stubGlobal("MediaStreamTrack", class {})); // jsdom has none
afterEach(() => vi.unstubAllGlobals());

const newCall = () => new Call({ media: new LocalMedia(), admit: () => Promise.reject(new Error("nobody joins here")), load: new FakeWorld().load });

it("says of a network that lets no media through what it is, and not that the server is away", async () => {
  const call = newCall();
  renderRoutes((parent) => [createRoute({ getParentRoute: () => parent, path: "/", component: () => <Notices call={call} /> })], "/");
  await screen.findByRole("status");
  for (const phase of ["joining", "rejoining"] as const) {
    act(() => call.store.set({ phase, attempt: 2, obstacle: "network" }));
    expect(screen.getByRole("status").textContent).toContain("mạng tại đây không cho âm thanh, hình ảnh đi qua");
    act(() => call.store.set({ obstacle: "full" }));
    expect(screen.getByRole("status").textContent).toContain("phòng họp có thể đã đủ người");
    act(() => call.store.set({ obstacle: null }));
    expect(screen.getByRole("status").textContent).not.toMatch(/mạng tại đây|đã đủ/);
  }
});

it("says that a picture is held back, and shows who it is of", async () => {
  const media = new LocalMedia();
  const chi = {
    identity: "p-chi.x", person: "p-chi", name: "Lê Thị Kim Chi", title: "", agency: "", agencyShort: "", self: false, speaking: false, mic: true,
    camera: { attach() {}, detach() {} }, screen: null, cameraHeld: true, screenHeld: false, weak: false,
  } as unknown as Member;
  renderRoutes((parent) => [createRoute({ getParentRoute: () => parent, path: "/", component: () => <ul><Tile member={chi} media={media} /></ul> })], "/");
  await screen.findByText("Hình ảnh tạm dừng vì đường truyền của bạn yếu");
  expect(screen.getByLabelText("Lê Thị Kim Chi", { selector: "video" }).getAttribute("aria-hidden")).toBe("true");
});
