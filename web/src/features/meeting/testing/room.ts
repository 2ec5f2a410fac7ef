import * as kit from "livekit-client";
import type { LiveKit } from "../call";

type Listener = (...args: never[]) => void;

export class FakePublication {
  isMuted = false;
  constructor(
    readonly source: kit.Track.Source,
    public track: { mediaStreamTrack: unknown; replaceTrack?: (t: unknown) => Promise<void>; stop: () => void } | undefined,
  ) {}
  mute = async () => {
    this.isMuted = true;
  };
  unmute = async () => {
    this.isMuted = false;
  };
}

export class FakeParticipant {
  name = "";
  metadata = "";
  isSpeaking = false;
  isMicrophoneEnabled = false;
  isScreenShareEnabled = false;
  connectionQuality = kit.ConnectionQuality.Excellent;
  readonly publications: FakePublication[] = [];
  /** Publishing fails with this. */
  failure: Error | null = null;
  screen: () => Promise<void> = async () => {};

  constructor(readonly identity: string) {}

  getTrackPublication(source: kit.Track.Source) {
    return this.publications.find((p) => p.source === source);
  }

  async publishTrack(track: FakeLocalTrack, { source }: { source: kit.Track.Source }) {
    if (this.failure) throw this.failure;
    this.publications.push(new FakePublication(source, track));
  }

  async setScreenShareEnabled(on: boolean) {
    await this.screen();
    this.isScreenShareEnabled = on;
  }
}

export class FakeLocalTrack {
  stopped = false;
  constructor(public mediaStreamTrack: unknown) {}
  replaceTrack = async (track: unknown) => {
    this.mediaStreamTrack = track;
  };
  stop = () => {
    this.stopped = true;
  };
}

/** A room of the client library whose server is the test. */
export class FakeRoom {
  readonly localParticipant = new FakeParticipant("me.tab");
  readonly remoteParticipants = new Map<string, FakeParticipant>();
  state = kit.ConnectionState.Disconnected;
  canPlaybackAudio = true;
  readonly outputs: string[] = [];
  readonly #listeners = new Map<string, Listener[]>();
  connectedWith = "";
  closed = false;

  constructor(readonly world: FakeWorld) {
    world.rooms.push(this);
  }

  on(event: string, fn: Listener): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), fn]);
    return this;
  }

  emit(event: string, ...args: unknown[]): void {
    for (const fn of this.#listeners.get(event) ?? []) (fn as (...a: unknown[]) => void)(...args);
  }

  async connect(_url: string, token: string): Promise<void> {
    await this.world.connect();
    this.connectedWith = token;
    this.state = kit.ConnectionState.Connected;
  }

  async disconnect(): Promise<void> {
    this.closed = true;
    this.lose(kit.DisconnectReason.CLIENT_INITIATED);
  }

  async startAudio(): Promise<void> {
    this.canPlaybackAudio = true;
  }

  async switchActiveDevice(_kind: string, id: string): Promise<void> {
    this.outputs.push(id);
  }

  /** As when the client has given up, or the server has said goodbye. */
  lose(reason?: kit.DisconnectReason): void {
    this.state = kit.ConnectionState.Disconnected;
    this.emit(kit.RoomEvent.Disconnected, reason);
  }
}

/** Rooms as the client library makes them, and the server's mood. */
export class FakeWorld {
  readonly rooms: FakeRoom[] = [];
  supported = true;
  connect: () => Promise<void> = async () => {};

  get room(): FakeRoom {
    const last = this.rooms.at(-1);
    if (!last) throw new Error("no room was made");
    return last;
  }

  load = async (): Promise<LiveKit> => {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the library's class is called with new
    const world = this;
    return {
      ...kit,
      Room: class extends FakeRoom {
        constructor() {
          super(world);
        }
      },
      LocalAudioTrack: FakeLocalTrack,
      LocalVideoTrack: FakeLocalTrack,
      isBrowserSupported: () => this.supported,
      setLogLevel() {},
    } as unknown as LiveKit;
  };
}
