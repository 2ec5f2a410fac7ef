import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Input, LocalMedia } from "./local-media";
import { FakeDevices, type FakeTrack } from "./testing/devices";

let devices: FakeDevices;
let media: LocalMedia;

beforeEach(() => {
  devices = new FakeDevices().install();
  media = new LocalMedia();
});
afterEach(() => media.close());

const state = (input: Input) => media.store.get()[input];
const track = (input: Input) => media.track(input) as unknown as FakeTrack | null;

describe("opening", () => {
  it("asks for both in one question", async () => {
    await media.start();
    expect(devices.asked).toHaveLength(1);
    expect(state("mic")).toMatchObject({ on: true, pending: false, problem: null, device: "m1", label: "Micro m1" });
    expect(state("camera")).toMatchObject({ on: true, device: "c1" });
  });

  it("takes one denial of both for an answer about each, and asks no more", async () => {
    devices.refuse = { audio: "NotAllowedError" };
    await media.start();
    expect(state("mic")).toMatchObject({ on: false, problem: "denied" });
    expect(state("camera")).toMatchObject({ on: false, problem: "denied" });
    expect(devices.asked).toHaveLength(1);
  });

  it("opens the camera that was allowed before though the microphone is denied", async () => {
    devices.refuse = { audio: "NotAllowedError" };
    devices.permission.camera = "granted";
    await media.start();
    expect(state("mic").problem).toBe("denied");
    expect(state("camera").on).toBe(true);
  });

  it.each([
    ["NotReadableError", "busy"],
    ["NotFoundError", "absent"],
  ])("a camera that answers %s leaves the microphone on", async (name, problem) => {
    devices.refuse = { video: name };
    await media.start();
    expect(state("mic")).toMatchObject({ on: true, problem: null });
    expect(state("camera")).toMatchObject({ on: false, pending: false, problem });
  });

  it("takes up a microphone by itself once the person allows it", async () => {
    devices.refuse = { audio: "NotAllowedError" };
    await media.start();
    await vi.waitFor(() => expect(devices.statuses.filter((s) => s.name === "microphone").length).toBeGreaterThan(1));
    devices.allow("microphone");
    await vi.waitFor(() => expect(state("mic")).toMatchObject({ on: true, problem: null }));
  });

  it("says that a page without https gets no devices, and asks for none", async () => {
    media.close();
    vi.stubGlobal("isSecureContext", false);
    media = new LocalMedia();
    await media.start();
    expect(state("mic").problem).toBe("insecure");
    expect(state("camera").problem).toBe("insecure");
    expect(devices.asked).toHaveLength(0);
  });

  it("stops a camera that came after it was switched off again", async () => {
    let open = () => {};
    devices.gate = new Promise((resolve) => (open = resolve));
    const started = media.start();
    await media.setOn("camera", false);
    open();
    await started;
    expect(state("camera")).toMatchObject({ on: false, pending: false });
    expect(devices.tracks.find((t) => t.kind === "video")?.readyState).toBe("ended");
    expect(state("mic").on).toBe(true);
  });

  it("stops what comes after it was closed", async () => {
    let open = () => {};
    devices.gate = new Promise((resolve) => (open = resolve));
    const started = media.start();
    media.close();
    open();
    await started;
    expect(devices.tracks).toHaveLength(2);
    expect(devices.tracks.map((t) => t.readyState)).toEqual(["ended", "ended"]);
  });
});

describe("switching", () => {
  it("keeps a silent microphone open and closes the camera", async () => {
    await media.start();
    const told: Input[] = [];
    media.onTrack = (input) => told.push(input);
    await media.setOn("mic", false);
    await media.setOn("camera", false);
    expect(track("mic")).toMatchObject({ readyState: "live", enabled: false });
    expect(track("camera")).toBeNull();
    expect(told).toEqual(["mic", "camera"]);
    const asked = devices.asked.length;
    await media.setOn("mic", true);
    expect(track("mic")?.enabled).toBe(true);
    expect(devices.asked.length).toBe(asked);
  });

  it("moves to the chosen device without a gap, and remembers it", async () => {
    devices.plug("camera", "c2");
    await media.start();
    const old = track("camera");
    let oldWhenTold = "";
    media.onTrack = () => (oldWhenTold = old?.readyState ?? "");
    await media.choose("camera", "c2");
    expect(track("camera")?.deviceId).toBe("c2");
    expect(oldWhenTold).toBe("live");
    expect(old?.readyState).toBe("ended");
    expect(new LocalMedia().store.get().camera.device).toBe("c2");
  });

  it("takes any device where the remembered one is gone", async () => {
    localStorage.setItem("commsd.meeting.devices", JSON.stringify({ mic: "gone", camera: "gone", speaker: "" }));
    media.close();
    media = new LocalMedia();
    await media.setOn("mic", true);
    expect(state("mic")).toMatchObject({ on: true, device: "m1" });
  });
});

describe("devices that come and go", () => {
  it("goes over to another microphone when its own is pulled out, and says so", async () => {
    devices.plug("mic", "m2");
    await media.start();
    devices.unplug("m1");
    await vi.waitFor(() => expect(state("mic")).toMatchObject({ on: true, device: "m2", problem: null }));
    expect(media.store.get().news).toEqual({ kind: "switched", input: "mic", device: "m2", label: "Micro m2" });
  });

  it("says that the only camera was pulled out, and takes it up when it is back", async () => {
    await media.start();
    devices.unplug("c1");
    await vi.waitFor(() => expect(state("camera")).toMatchObject({ on: false, problem: "unplugged" }));
    expect(media.store.get().news).toMatchObject({ kind: "unplugged", input: "camera", label: "Camera c1" });
    devices.plug("camera", "c1");
    await vi.waitFor(() => expect(state("camera")).toMatchObject({ on: true, problem: null }));
  });

  it("offers a device that was plugged in, and keeps the one in use", async () => {
    await media.start();
    devices.plug("mic", "m2");
    await vi.waitFor(() => expect(media.store.get().news).toMatchObject({ kind: "plugged", input: "mic", device: "m2" }));
    expect(state("mic").device).toBe("m1");
  });

  it("says nothing of a camera that was off when it went", async () => {
    await media.start();
    await media.setOn("camera", false);
    devices.unplug("c1");
    await vi.waitFor(() => expect(media.store.get().cameras).toEqual([]));
    expect(state("camera").problem).toBeNull();
    expect(media.store.get().news).toBeNull();
  });
});
