import { createRoute } from "@tanstack/react-router";
import { act, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { isAwake } from "../../api/activity";
import { renderRoutes } from "../../testing/render";
import { activeCall, forgetCall } from "./active";
import { Call, type Phase } from "./call";
import Background from "./components/Background";
import { LocalMedia } from "./local-media";
import { FakeWorld } from "./testing/room";

afterEach(() => act(() => forgetCall()));

it("keeps the session from being idle for as long as a call is on, and no longer", async () => {
  const Page = () => (
    <>
      <h1>Cuộc họp</h1>
      <Background />
    </>
  );
  renderRoutes((parent) => [createRoute({ getParentRoute: () => parent, path: "/meetings/m1", component: Page })], "/meetings/m1");
  await screen.findByRole("heading");
  expect(isAwake()).toBe(false);
  const call = new Call({ media: new LocalMedia(), admit: () => Promise.reject(new Error("nobody joins here")), load: new FakeWorld().load });
  act(() => activeCall.set({ call, id: "m1", title: "Giao ban", link: "", maker: false }));
  for (const [phase, awake] of [["connected", true], ["reconnecting", true], ["ended", false]] as [Phase, boolean][]) {
    act(() => call.store.set({ phase }));
    expect(isAwake(), phase).toBe(awake);
  }
});
