import type * as kitModule from "livekit-client";
import type { LocalTrackPublication, Participant, RemoteTrack, Room, Track } from "livekit-client";
import { codeOf } from "../../api/error";
import { type Input, inputs, type LocalMedia } from "./local-media";
import { type MediaProblem, problemOf } from "./media-problem";
import { Store } from "./state";

export type LiveKit = typeof kitModule;

/** What POST …/join answers. */
export interface Admission {
  url: string;
  token: string;
  identity: string;
}

/**
 * Where a call stands. The first row goes on by itself; the second is the end,
 * and says why.
 */
export type Phase =
  | "idle" | "joining" | "connected" | "reconnecting" | "rejoining"
  | "left" | "ended" | "removed" | "replaced" | "refused" | "missing" | "unsupported";

const over: ReadonlySet<Phase> = new Set<Phase>(["left", "ended", "removed", "replaced", "refused", "missing", "unsupported"]);

export function isOver(phase: Phase): boolean {
  return over.has(phase);
}

/** Somebody in the room, oneself included. */
export interface Member {
  identity: string;
  /** Id of the person; a person with two devices is two members. */
  person: string;
  name: string;
  title: string;
  agency: string;
  agencyShort: string;
  self: boolean;
  speaking: boolean;
  mic: boolean;
  /** Null while off. One's own picture is LocalMedia's. */
  camera: Track | null;
  screen: Track | null;
  /** The server holds this picture back, since one's own connection has no room for it. */
  cameraHeld: boolean;
  screenHeld: boolean;
  /** The server finds this connection weak. */
  weak: boolean;
}

export interface CallState {
  phase: Phase;
  /** Attempts to get in since the last success; 0 while inside. */
  attempt: number;
  /**
   * What kept the last attempt out of a server that did answer: the network lets neither sound nor picture through, or
   * the server did not take one in, which it says of a full room.
   */
  obstacle: "network" | "full" | null;
  members: Member[];
  /** The browser wants a click before it plays sound. */
  soundBlocked: boolean;
  sharing: boolean;
  shareProblem: MediaProblem | null;
  /** When one came in, for the clock. */
  since: number;
  /** An input that is on here but did not reach the server. */
  unsent: Input | null;
}

export interface CallOptions {
  media: LocalMedia;
  /** Asks the server for a token; throws ApiError. */
  admit: () => Promise<Admission>;
  /** Loads the client library: a chunk of its own. */
  load?: () => Promise<LiveKit>;
}

/** A stay shorter than this, in ms, was none: the next attempt waits, so that a room that throws out at once is not stormed. */
const shortStay = 10_000;

/** Waits between attempts: soon at first, then every ten seconds for as long as it takes. */
export const retryDelays: readonly number[] = [500, 1_000, 2_000, 4_000, 7_000, 10_000];

/**
 * One stay in a meeting's room, outside React. The stock client reconnects by
 * itself and gives up after about 45 seconds; then, and when the first attempt
 * fails, this class asks for a new token and joins anew until it succeeds, the
 * server says no for good, or leave() is called.
 *
 * Devices are LocalMedia's: a track that fails or changes there is republished
 * here, and no trouble with a device keeps anyone from being in the room.
 */
export class Call {
  readonly store = new Store<CallState>({
    phase: "idle", attempt: 0, obstacle: null, members: [], soundBlocked: false, sharing: false, shareProblem: null, since: 0, unsent: null,
  });
  readonly media: LocalMedia;

  readonly #admit: () => Promise<Admission>;
  readonly #load: () => Promise<LiveKit>;
  readonly #end = new AbortController();
  #kit: LiveKit | null = null;
  #room: Room | null = null;
  #refusals = 0; // tokens refused in a row, fresh as they were
  #refresh = 0;
  #wake: () => void = () => {};
  #stopSpeaker: () => void = () => {};
  readonly #publishing: Record<Input, Promise<void>> = { mic: Promise.resolve(), camera: Promise.resolve() };

  constructor(options: CallOptions) {
    this.media = options.media;
    this.#admit = options.admit;
    this.#load = options.load ?? (() => import("livekit-client"));
  }

  /** Goes in, and stays in. Returns when the call is over. */
  async join(): Promise<void> {
    if (this.store.get().phase !== "idle") return;
    this.media.onTrack = (input) => this.#publish(input);
    this.#stopSpeaker = this.#followSpeaker();
    window.addEventListener("online", this.#wakeUp, { signal: this.#end.signal });
    document.addEventListener("visibilitychange", this.#wakeUp, { signal: this.#end.signal });
    this.store.set({ phase: "joining" });
    for (let attempt = 1; !isOver(this.store.get().phase); attempt++) {
      this.store.set({ attempt });
      const began = Date.now();
      const inside = await this.#enter();
      if (isOver(this.store.get().phase)) break;
      if (inside) {
        this.store.set({ phase: "rejoining", attempt: Math.max(attempt, 1), members: [], sharing: false, soundBlocked: false, unsent: null });
        if (Date.now() - began > shortStay) {
          attempt = 0;
          continue;
        }
      }
      await this.#wait(retryDelays[Math.min(attempt, retryDelays.length) - 1] ?? 10_000);
    }
  }

  /** Goes out, lets go of the devices; "ended" when one has ended the meeting for everyone. */
  async leave(as: "left" | "ended" = "left"): Promise<void> {
    this.#finish(as);
    await this.#room?.disconnect(false);
  }

  /** Skips what is left of the wait before the next attempt. */
  retryNow(): void {
    this.#wake();
  }

  async share(): Promise<void> {
    const local = this.#room?.localParticipant;
    if (!local) return;
    this.store.set({ shareProblem: null });
    try {
      await local.setScreenShareEnabled(!this.store.get().sharing, { audio: true, selfBrowserSurface: "exclude", contentHint: "detail" });
    } catch (err) {
      // Closing the browser's choice is a change of mind, not a problem.
      const problem = problemOf(err);
      this.store.set({ shareProblem: problem === "denied" && document.hasFocus() ? null : problem });
    }
    this.#update();
  }

  clearShareProblem(): void {
    this.store.set({ shareProblem: null });
  }

  /** Must be called from a click: that is what the browser waits for. */
  async allowSound(): Promise<void> {
    await this.#room?.startAudio().catch(() => undefined);
    this.#update();
  }

  /** True after it was inside and lost the room. */
  async #enter(): Promise<boolean> {
    let admission: Admission;
    let kit: LiveKit;
    try {
      [admission, kit] = await Promise.all([this.#admit(), this.#loaded()]);
    } catch (err) {
      this.store.set({ obstacle: null });
      this.#refusedBy(err);
      return false;
    }
    if (this.#over) return false;
    if (!kit.isBrowserSupported()) {
      this.#finish("unsupported");
      return false;
    }
    const room = new kit.Room({
      adaptiveStream: true,
      dynacast: true,
      singlePeerConnection: true, // the server leaves crowded rooms to two connections
      stopLocalTrackOnUnpublish: false, // the devices are LocalMedia's
      disconnectOnPageLeave: true,
      publishDefaults: { videoCodec: "vp8", simulcast: true, red: true, dtx: true, stopMicTrackOnMute: false },
    });
    const lost = this.#listen(kit, room);
    let answered = false;
    room.on(kit.RoomEvent.SignalConnected, () => (answered = true));
    this.#room = room;
    try {
      await room.connect(admission.url, admission.token);
    } catch (err) {
      this.#room = null;
      this.store.set({ obstacle: obstacleOf(kit, err, answered) });
      if (err instanceof kit.ConnectionError && err.reason === kit.ConnectionErrorReason.NotAllowed && ++this.#refusals > 2) {
        this.#finish("refused");
      }
      return false;
    }
    if (this.#over) {
      await room.disconnect(false);
      return false;
    }
    this.#refusals = 0;
    this.store.set({ phase: "connected", attempt: 0, obstacle: null, since: this.store.get().since || Date.now() });
    this.#update();
    for (const input of inputs) this.#publish(input);
    const speaker = this.media.store.get().speaker;
    if (speaker) void room.switchActiveDevice("audiooutput", speaker).catch(() => undefined);
    await lost;
    this.#room = null;
    return true;
  }

  /** Follows the room's events; the promise resolves when the room is lost. */
  #listen(kit: LiveKit, room: Room): Promise<void> {
    const { RoomEvent, ConnectionState } = kit;
    for (const event of [
      RoomEvent.ParticipantConnected, RoomEvent.ParticipantDisconnected, RoomEvent.ParticipantActive, RoomEvent.TrackPublished,
      RoomEvent.TrackUnpublished, RoomEvent.TrackSubscribed, RoomEvent.TrackUnsubscribed, RoomEvent.TrackMuted, RoomEvent.TrackUnmuted,
      RoomEvent.ActiveSpeakersChanged, RoomEvent.ParticipantMetadataChanged, RoomEvent.ParticipantNameChanged,
      RoomEvent.ConnectionQualityChanged, RoomEvent.LocalTrackPublished, RoomEvent.LocalTrackUnpublished,
      RoomEvent.AudioPlaybackStatusChanged, RoomEvent.TrackStreamStateChanged,
    ]) {
      room.on(event, () => this.#scheduleUpdate());
    }
    // Sound needs no place in the page: the client makes the elements.
    room.on(RoomEvent.TrackSubscribed, (track: RemoteTrack) => {
      if (track.kind === kit.Track.Kind.Audio) track.attach();
    });
    room.on(RoomEvent.TrackUnsubscribed, (track: RemoteTrack) => {
      for (const element of track.detach()) element.remove();
    });
    // A screen is not LocalMedia's: shared no longer, it must not be captured any longer.
    room.on(RoomEvent.LocalTrackUnpublished, (publication) => {
      if (publication.source === kit.Track.Source.ScreenShare || publication.source === kit.Track.Source.ScreenShareAudio) publication.track?.stop();
    });
    room.on(RoomEvent.ConnectionStateChanged, (state) => {
      if (room !== this.#room || this.#over) return;
      if (state === ConnectionState.Reconnecting || state === ConnectionState.SignalReconnecting) this.store.set({ phase: "reconnecting" });
      else if (state === ConnectionState.Connected) this.store.set({ phase: "connected" });
    });
    return new Promise((resolve) => {
      room.on(RoomEvent.Disconnected, (reason) => {
        const end = reason === undefined ? undefined : endOf(kit, reason);
        if (end && room === this.#room) this.#finish(end);
        resolve();
      });
    });
  }

  /** Reads what a failed request for a token means. */
  #refusedBy(err: unknown): void {
    switch (codeOf(err)) {
      case "gone":
        return this.#finish("ended");
      case "not_found":
        return this.#finish("missing");
      case "forbidden":
      case "unauthenticated":
      case "invalid":
        return this.#finish("refused");
      default: // unreachable, stopping, starting, too many at once: it passes
    }
  }

  get #over(): boolean {
    return isOver(this.store.get().phase);
  }

  #finish(phase: Phase): void {
    if (this.#over) return;
    this.store.set({ phase, members: [], sharing: false, soundBlocked: false, attempt: 0 });
    this.#end.abort();
    this.#wake();
    this.#stopSpeaker();
    this.media.onTrack = () => {};
    this.media.close();
  }

  async #loaded(): Promise<LiveKit> {
    if (!this.#kit) {
      this.#kit = await this.#load();
      this.#kit.setLogLevel("warn");
    }
    return this.#kit;
  }

  /** Brings what the server has of an input in line with the device; one step after the other. */
  #publish(input: Input): void {
    this.#publishing[input] = this.#publishing[input].then(async () => {
      const room = this.#room;
      const kit = this.#kit;
      if (!room || !kit || this.store.get().phase !== "connected") return;
      try {
        await publishInput(kit, room, input, this.media);
        if (this.store.get().unsent === input) this.store.set({ unsent: null });
      } catch {
        // A room that was lost meanwhile publishes again when it is back.
        if (room === this.#room && room.state === kit.ConnectionState.Connected) this.store.set({ unsent: input });
      }
      this.#update();
    });
  }

  #followSpeaker(): () => void {
    let speaker = this.media.store.get().speaker;
    return this.media.store.subscribe(() => {
      const now = this.media.store.get().speaker;
      if (now === speaker) return;
      speaker = now;
      void this.#room?.switchActiveDevice("audiooutput", now || "default").catch(() => undefined);
    });
  }

  #scheduleUpdate(): void {
    if (this.#refresh) return;
    this.#refresh = window.setTimeout(() => {
      this.#refresh = 0;
      this.#update();
    }, 0);
  }

  #update(): void {
    const room = this.#room;
    const kit = this.#kit;
    if (!room || !kit || this.#over) return;
    const members = [memberOf(kit, room.localParticipant, true), ...[...room.remoteParticipants.values()].map((p) => memberOf(kit, p, false))];
    this.store.set({
      members,
      soundBlocked: !room.canPlaybackAudio && members.some((m) => !m.self && m.mic),
      sharing: room.localParticipant.isScreenShareEnabled,
    });
  }

  readonly #wakeUp = (): void => {
    if (document.visibilityState === "visible") this.#wake();
  };

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms * (0.75 + Math.random() / 2)); // everyone lost the server at the same moment
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The end that a reason to disconnect means; undefined where one should try again. */
function endOf(kit: LiveKit, reason: number): Phase | undefined {
  const { DisconnectReason: why } = kit;
  switch (reason) {
    case why.CLIENT_INITIATED:
      return "left";
    case why.DUPLICATE_IDENTITY:
      return "replaced";
    case why.PARTICIPANT_REMOVED:
      return "removed";
    case why.ROOM_DELETED:
      return "ended";
    default:
      return undefined;
  }
}

/** What kept one out, in spite of a server that answered. */
function obstacleOf(kit: LiveKit, err: unknown, answered: boolean): CallState["obstacle"] {
  if (!(err instanceof kit.ConnectionError)) return null;
  switch (err.reason) {
    case kit.ConnectionErrorReason.LeaveRequest:
      // It is also what a server says that stops, or whose room ended just now.
      return err.context === kit.DisconnectReason.JOIN_FAILURE ? "full" : null;
    case kit.ConnectionErrorReason.InternalError:
      return answered ? "network" : null;
    default:
      return null;
  }
}

/** Publishes, replaces, mutes or unmutes so that the server has what the device gives. */
async function publishInput(kit: LiveKit, room: Room, input: Input, media: LocalMedia): Promise<void> {
  const source = input === "mic" ? kit.Track.Source.Microphone : kit.Track.Source.Camera;
  const publication: LocalTrackPublication | undefined = room.localParticipant.getTrackPublication(source) as LocalTrackPublication | undefined;
  const track = media.track(input);
  const on = media.store.get()[input].on;
  if (!publication?.track) {
    if (!track || !on) return;
    const local = input === "mic" ? new kit.LocalAudioTrack(track, undefined, true) : new kit.LocalVideoTrack(track, undefined, true);
    await room.localParticipant.publishTrack(local, { source });
    return;
  }
  if (!track || !on) {
    await publication.mute();
    return;
  }
  if (publication.track.mediaStreamTrack !== track) await publication.track.replaceTrack(track, true);
  await publication.unmute();
}

function memberOf(kit: LiveKit, p: Participant, self: boolean): Member {
  const meta = readMetadata(p.metadata);
  const shown = (source: Track.Source): Track | null => {
    const publication = p.getTrackPublication(source);
    return publication && !publication.isMuted && publication.track ? publication.track : null;
  };
  const held = (track: Track | null): boolean => track?.streamState === kit.Track.StreamState.Paused;
  const camera = shown(kit.Track.Source.Camera);
  const screen = shown(kit.Track.Source.ScreenShare);
  return {
    identity: p.identity,
    person: meta.person || p.identity,
    name: p.name || p.identity,
    title: meta.title,
    agency: meta.agency_name,
    agencyShort: meta.agency_short,
    self,
    speaking: p.isSpeaking,
    mic: p.isMicrophoneEnabled,
    camera,
    screen,
    cameraHeld: held(camera),
    screenHeld: held(screen),
    weak: p.connectionQuality === kit.ConnectionQuality.Poor || p.connectionQuality === kit.ConnectionQuality.Lost,
  };
}

/** Metadata is the server's, but a client of another make may have none. */
function readMetadata(text: string | undefined): { person: string; title: string; agency_name: string; agency_short: string } {
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(text || "null");
  } catch {
    // not ours
  }
  const of = (key: string): string => {
    const value: unknown = typeof parsed === "object" && parsed !== null ? Reflect.get(parsed, key) : "";
    return typeof value === "string" ? value : "";
  };
  return { person: of("person"), title: of("title"), agency_name: of("agency_name"), agency_short: of("agency_short") };
}
