import { devicesTrusted, type MediaProblem, problemOf } from "./media-problem";
import { Store } from "./state";

export type Input = "mic" | "camera";
export const inputs: readonly Input[] = ["mic", "camera"];

/** One of the machine's devices. */
export interface Device {
  id: string;
  label: string;
}

export interface InputState {
  /** Somebody wants it on; it may not be, see problem. */
  wanted: boolean;
  on: boolean;
  /** The browser is asking, or the device is starting. */
  pending: boolean;
  problem: MediaProblem | null;
  /** The chosen device; empty for the browser's choice. */
  device: string;
  label: string;
}

/** What changed about the devices, to tell once. */
export interface DeviceNews {
  kind: "plugged" | "switched" | "unplugged";
  input: Input;
  device: string;
  label: string;
}

export interface LocalMediaState {
  mic: InputState;
  camera: InputState;
  mics: Device[];
  cameras: Device[];
  speakers: Device[];
  speaker: string;
  news: DeviceNews | null;
}

/** Where choices are kept on this machine. */
const storageKey = "commsd.meeting.devices";

const deviceKind: Record<Input, MediaDeviceKind> = { mic: "audioinput", camera: "videoinput" };

/**
 * This machine's camera and microphone, before and during a call: it opens
 * them apart, so that the one works without the other, and follows devices as
 * they come and go. It owns the MediaStreamTracks; a call publishes what track()
 * gives and is told of each change.
 *
 * A microphone that is off stays open, silent, so that it is back at once. A
 * camera that is off is closed, so that its light goes out.
 */
export class LocalMedia {
  readonly store: Store<LocalMediaState>;
  /** Called when the track of an input was replaced, opened or closed. */
  onTrack: (input: Input, track: MediaStreamTrack | null) => void = () => {};

  readonly #tracks: Record<Input, MediaStreamTrack | null> = { mic: null, camera: null };
  readonly #turn: Record<Input, number> = { mic: 0, camera: 0 }; // the newest request wins
  readonly #end = new AbortController();
  #listed = false;

  constructor() {
    const chosen = readChoices();
    const input = (device: string): InputState => ({ wanted: false, on: false, pending: false, problem: null, device, label: "" });
    this.store = new Store<LocalMediaState>({
      mic: input(chosen.mic),
      camera: input(chosen.camera),
      mics: [],
      cameras: [],
      speakers: [],
      speaker: chosen.speaker,
      news: null,
    });
    if (devicesTrusted()) {
      navigator.mediaDevices.addEventListener("devicechange", () => void this.#devicesChanged(), { signal: this.#end.signal });
    }
  }

  track(input: Input): MediaStreamTrack | null {
    return this.#tracks[input];
  }

  /**
   * Asks for both at once, which is one question to the person, and for each
   * alone where that fails.
   */
  async start(): Promise<void> {
    if (this.#closed) return;
    this.#set("mic", { wanted: true, pending: true });
    this.#set("camera", { wanted: true, pending: true });
    if (!devicesTrusted()) {
      for (const input of inputs) this.#fail(input, "insecure");
      return;
    }
    const turns = { mic: ++this.#turn.mic, camera: ++this.#turn.camera };
    let both: MediaStream;
    try {
      both = await navigator.mediaDevices.getUserMedia({ audio: this.#constraints("mic"), video: this.#constraints("camera") });
    } catch (err) {
      const denied = problemOf(err) === "denied";
      for (const input of inputs) {
        if (turns[input] !== this.#turn[input]) continue;
        // One "no" to the question for both is a no to each, unless the browser
        // says that one of them was allowed before.
        if (denied && (await permission(input)) !== "granted") this.#fail(input, "denied");
        else await this.#open(input);
      }
      await this.#list();
      return;
    }
    for (const track of both.getTracks()) {
      const input: Input = track.kind === "audio" ? "mic" : "camera";
      if (turns[input] === this.#turn[input]) this.#adopt(input, track);
      else track.stop();
    }
    await this.#list();
  }

  /** Switches an input on or off; on opens the device anew after a problem. */
  async setOn(input: Input, on: boolean): Promise<void> {
    if (this.#closed) return;
    this.#set(input, { wanted: on });
    const track = this.#tracks[input];
    if (!on) {
      this.#turn[input]++;
      if (input === "mic" && track) track.enabled = false;
      else this.#drop(input);
      this.#set(input, { on: false, pending: false, problem: null });
      if (input === "mic" && track) this.onTrack("mic", track);
      return;
    }
    if (track && track.readyState === "live") {
      track.enabled = true;
      this.#set(input, { on: true, problem: null });
      this.onTrack(input, track);
      return;
    }
    await this.#open(input);
    await this.#list();
  }

  /** Chooses a device, and moves over to it when the input is on. */
  async choose(input: Input, device: string): Promise<void> {
    this.#set(input, { device });
    this.#remember();
    if (this.store.get()[input].wanted) await this.#open(input);
    else if (input === "mic") this.#drop("mic");
    await this.#list();
  }

  chooseSpeaker(device: string): void {
    this.store.set({ speaker: device });
    this.#remember();
  }

  /** The news was shown. */
  clearNews(): void {
    this.store.set({ news: null });
  }

  /** Lets go of all devices. The object is of no use afterwards. */
  close(): void {
    this.#end.abort();
    for (const input of inputs) {
      this.#turn[input]++;
      this.#drop(input);
    }
  }

  get #closed(): boolean {
    return this.#end.signal.aborted;
  }

  async #open(input: Input): Promise<void> {
    if (!devicesTrusted()) return this.#fail(input, "insecure");
    const turn = ++this.#turn[input];
    this.#set(input, { pending: true, wanted: true });
    let stream: MediaStream;
    try {
      stream = await this.#request(input);
    } catch (err) {
      if (turn === this.#turn[input]) this.#fail(input, problemOf(err));
      return;
    }
    const track = stream.getTracks()[0];
    if (turn !== this.#turn[input] || !track) {
      for (const t of stream.getTracks()) t.stop();
      return;
    }
    this.#adopt(input, track);
  }

  /** The chosen device, or any where that one is gone. */
  async #request(input: Input): Promise<MediaStream> {
    const ask = (constraints: MediaTrackConstraints) =>
      navigator.mediaDevices.getUserMedia(input === "mic" ? { audio: constraints } : { video: constraints });
    const { device } = this.store.get()[input];
    if (!device) return ask(this.#constraints(input));
    try {
      return await ask({ ...this.#constraints(input), deviceId: { exact: device } });
    } catch (err) {
      if (problemOf(err) !== "absent") throw err;
      return ask({ ...this.#constraints(input), deviceId: undefined });
    }
  }

  #constraints(input: Input): MediaTrackConstraints {
    const { device } = this.store.get()[input];
    const chosen: MediaTrackConstraints = device ? { deviceId: { ideal: device } } : {};
    if (input === "mic") return { ...chosen, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    return { ...chosen, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 25, max: 30 } };
  }

  #adopt(input: Input, track: MediaStreamTrack): void {
    const old = this.#tracks[input];
    const { wanted } = this.store.get()[input];
    if (!wanted && input === "camera") {
      track.stop();
      return;
    }
    track.enabled = wanted;
    this.#tracks[input] = track;
    track.addEventListener("ended", () => void this.#ended(input, track), { once: true, signal: this.#end.signal });
    this.#set(input, { on: wanted, pending: false, problem: null, device: track.getSettings().deviceId ?? "", label: track.label });
    this.onTrack(input, track);
    old?.stop(); // after the new one took its place, so that nobody sees a gap
  }

  #drop(input: Input): void {
    const track = this.#tracks[input];
    if (!track) return;
    this.#tracks[input] = null;
    track.stop();
    this.onTrack(input, null);
  }

  #fail(input: Input, problem: MediaProblem): void {
    this.#drop(input);
    this.#set(input, { on: false, pending: false, problem });
    if (problem === "denied") void this.#awaitPermission(input);
  }

  /** Takes up an input by itself once the person allows it in the browser's settings. */
  async #awaitPermission(input: Input): Promise<void> {
    const status = await permissionStatus(input);
    status?.addEventListener(
      "change",
      () => {
        const { wanted, problem } = this.store.get()[input];
        if (status.state === "granted" && wanted && problem === "denied") void this.setOn(input, true);
      },
      { signal: this.#end.signal },
    );
  }

  /** The device was pulled out, or its permission taken back. */
  async #ended(input: Input, track: MediaStreamTrack): Promise<void> {
    if (this.#tracks[input] !== track) return;
    const { label, device, wanted } = this.store.get()[input];
    this.#drop(input);
    await this.#list();
    if (!wanted) {
      this.#set(input, { on: false });
      return;
    }
    const others = this.#devices(input).filter((d) => d.id !== device);
    if (others.length > 0) {
      this.#set(input, { device: "" });
      await this.#open(input);
      const now = this.store.get()[input];
      if (now.on) {
        this.store.set({ news: { kind: "switched", input, device: now.device, label: now.label } });
        return;
      }
    }
    if (!this.store.get()[input].problem) this.#set(input, { problem: "unplugged", on: false, pending: false });
    this.store.set({ news: { kind: "unplugged", input, device, label } });
  }

  async #devicesChanged(): Promise<void> {
    const before = this.store.get();
    const known = this.#listed;
    await this.#list();
    if (!known || this.#closed) return;
    for (const input of inputs) {
      const had = new Set((input === "mic" ? before.mics : before.cameras).map((d) => d.id));
      const fresh = this.#devices(input).find((d) => d.id !== "default" && d.id !== "communications" && !had.has(d.id));
      if (!fresh) continue;
      const { wanted, problem } = this.store.get()[input];
      if (wanted && (problem === "absent" || problem === "unplugged")) {
        await this.choose(input, fresh.id);
        this.store.set({ news: { kind: "switched", input, device: fresh.id, label: fresh.label } });
      } else {
        this.store.set({ news: { kind: "plugged", input, device: fresh.id, label: fresh.label } });
      }
    }
  }

  #devices(input: Input): Device[] {
    const { mics, cameras } = this.store.get();
    return input === "mic" ? mics : cameras;
  }

  /** Reads the devices; browsers name them only after a permission. */
  async #list(): Promise<void> {
    if (!devicesTrusted() || this.#closed) return;
    let all: MediaDeviceInfo[];
    try {
      all = await navigator.mediaDevices.enumerateDevices();
    } catch {
      return; // a browser that hides them: the lists stay as they are
    }
    const of = (kind: MediaDeviceKind): Device[] =>
      all.filter((d) => d.kind === kind && d.deviceId !== "").map((d) => ({ id: d.deviceId, label: d.label }));
    this.#listed = true;
    this.store.set({ mics: of(deviceKind.mic), cameras: of(deviceKind.camera), speakers: of("audiooutput") });
  }

  #set(input: Input, part: Partial<InputState>): void {
    const now = this.store.get()[input];
    this.store.set(input === "mic" ? { mic: { ...now, ...part } } : { camera: { ...now, ...part } });
  }

  #remember(): void {
    const { mic, camera, speaker } = this.store.get();
    try {
      localStorage.setItem(storageKey, JSON.stringify({ mic: mic.device, camera: camera.device, speaker }));
    } catch {
      // storage switched off: the choice holds for this page
    }
  }
}

function readChoices(): { mic: string; camera: string; speaker: string } {
  const none = { mic: "", camera: "", speaker: "" };
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(storageKey) ?? "{}");
    if (typeof stored !== "object" || stored === null) return none;
    const of = (key: string): string => {
      const value: unknown = Reflect.get(stored, key);
      return typeof value === "string" ? value : "";
    };
    return { mic: of("mic"), camera: of("camera"), speaker: of("speaker") };
  } catch {
    return none;
  }
}

async function permissionStatus(input: Input): Promise<PermissionStatus | null> {
  try {
    return await navigator.permissions.query({ name: (input === "mic" ? "microphone" : "camera") as PermissionName });
  } catch {
    return null; // some browsers do not know these names
  }
}

async function permission(input: Input): Promise<PermissionState | "unknown"> {
  return (await permissionStatus(input))?.state ?? "unknown";
}
