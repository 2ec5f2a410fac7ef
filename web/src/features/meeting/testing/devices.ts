import { vi } from "vitest";

/** A track of a fake device; ends as the browser ends one when the device is pulled out. */
export class FakeTrack extends EventTarget {
  enabled = true;
  readyState: "live" | "ended" = "live";

  constructor(readonly kind: "audio" | "video", readonly deviceId: string, readonly label: string) {
    super();
  }

  getSettings() {
    return { deviceId: this.deviceId };
  }

  stop() {
    this.readyState = "ended";
  }

  pulledOut() {
    this.readyState = "ended";
    this.dispatchEvent(new Event("ended"));
  }
}

interface FakeDevice {
  kind: MediaDeviceKind;
  deviceId: string;
  label: string;
}

const mic = (id: string): FakeDevice => ({ kind: "audioinput", deviceId: id, label: `Micro ${id}` });
const camera = (id: string): FakeDevice => ({ kind: "videoinput", deviceId: id, label: `Camera ${id}` });

/** The machine's devices as a browser shows them. */
export class FakeDevices extends EventTarget {
  all: FakeDevice[] = [mic("m1"), camera("c1")];
  /** What asking for a kind of input throws: "NotAllowedError". */
  refuse: { audio?: string; video?: string } = {};
  permission: { microphone: string; camera: string } = { microphone: "prompt", camera: "prompt" };
  readonly statuses: { name: string; target: EventTarget & { state: string } }[] = [];
  readonly asked: MediaStreamConstraints[] = [];
  readonly tracks: FakeTrack[] = [];
  /** Answers wait for this. */
  gate: Promise<void> = Promise.resolve();

  install(): this {
    vi.stubGlobal("isSecureContext", true);
    vi.stubGlobal("navigator", {
      ...navigator,
      language: "vi-VN",
      mediaDevices: this,
      permissions: {
        query: async ({ name }: { name: "microphone" | "camera" }) => {
          const target = Object.assign(new EventTarget(), { state: this.permission[name] });
          this.statuses.push({ name, target });
          return target;
        },
      },
    });
    return this;
  }

  getUserMedia = async (constraints: MediaStreamConstraints) => {
    this.asked.push(constraints);
    await this.gate;
    const made: FakeTrack[] = [];
    for (const kind of ["audio", "video"] as const) {
      const wanted = constraints[kind];
      if (!wanted) continue;
      const refusal = this.refuse[kind];
      if (refusal) throw new DOMException("refused by the test", refusal);
      const fits = this.all.filter((d) => d.kind === `${kind}input`);
      const id = typeof wanted === "object" ? (wanted.deviceId as { exact?: string; ideal?: string } | undefined) : undefined;
      const device = fits.find((d) => d.deviceId === (id?.exact ?? id?.ideal)) ?? (id?.exact ? undefined : fits[0]);
      if (!device) throw new DOMException("none", id?.exact ? "OverconstrainedError" : "NotFoundError");
      made.push(new FakeTrack(kind, device.deviceId, device.label));
    }
    this.tracks.push(...made);
    return { getTracks: () => made };
  };

  enumerateDevices = async () => this.all;

  plug(kind: "mic" | "camera", id: string): void {
    this.all = [...this.all, kind === "mic" ? mic(id) : camera(id)];
    this.dispatchEvent(new Event("devicechange"));
  }

  unplug(id: string): void {
    this.all = this.all.filter((d) => d.deviceId !== id);
    for (const t of this.tracks) if (t.deviceId === id && t.readyState === "live") t.pulledOut();
    this.dispatchEvent(new Event("devicechange"));
  }

  /** The person answers the browser's question in its settings. */
  allow(name: "microphone" | "camera"): void {
    this.permission[name] = "granted";
    delete this.refuse[name === "camera" ? "video" : "audio"];
    for (const s of this.statuses.filter((one) => one.name === name)) {
      s.target.state = "granted";
      s.target.dispatchEvent(new Event("change"));
    }
  }
}
