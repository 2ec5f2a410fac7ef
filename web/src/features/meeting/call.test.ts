import { ConnectionError, ConnectionState, DisconnectReason, RoomEvent, Track } from "livekit-client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../api/error";
import { type Admission, Call, type Phase, retryDelays } from "./call";
import { LocalMedia } from "./local-media";
import { FakeDevices } from "./testing/devices";
import { FakeLocalTrack, FakeParticipant, FakePublication, FakeWorld } from "./testing/room";

const { Microphone, Camera, ScreenShare } = Track.Source;
let devices: FakeDevices;
let media: LocalMedia;
let world: FakeWorld;
let tokens: number;
let admit: () => Promise<Admission>;
let call: Call;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5); // waits are what the table says
  devices = new FakeDevices().install();
  media = new LocalMedia();
  world = new FakeWorld();
  tokens = 0;
  admit = async () => ({ url: "ws://here", token: `token ${++tokens}`, identity: "me.tab" });
  call = new Call({ media, admit: () => admit(), load: world.load });
});
afterEach(async () => {
  await call.leave();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const phase = (): Phase => call.store.get().phase;

async function inside(): Promise<void> {
  await media.start();
  void call.join();
  await settle();
  expect(phase()).toBe("connected");
}

const publication = (source: Track.Source) => world.room.localParticipant.getTrackPublication(source);

describe("going in", () => {
  it("publishes what is on, and says who is there", async () => {
    const chi = new FakeParticipant("p-chi.x");
    Object.assign(chi, { name: "Lê Thị Kim Chi", metadata: JSON.stringify({ person: "p-chi", title: "Phó Giám đốc", agency_name: "UBND thành phố Hà Nội" }) });
    await inside();
    world.room.remoteParticipants.set(chi.identity, chi);
    world.room.emit(RoomEvent.ParticipantConnected, chi);
    await settle();
    expect(publication(Microphone)?.track?.mediaStreamTrack).toBe(media.track("mic"));
    expect(publication(Camera)?.track?.mediaStreamTrack).toBe(media.track("camera"));
    expect(call.store.get().members.map((m) => [m.person, m.title, m.self])).toEqual([["me.tab", "", true], ["p-chi", "Phó Giám đốc", false]]);
  });

  it.each(["NotAllowedError", "NotReadableError", "NotFoundError"])("goes in without devices that answer %s", async (name) => {
    devices.refuse = { audio: name, video: name };
    await inside();
    expect(world.room.localParticipant.publications).toHaveLength(0);
    devices.refuse = {};
    await media.setOn("mic", true);
    await settle();
    expect(publication(Microphone)?.track?.mediaStreamTrack).toBe(media.track("mic"));
  });

  it.each([
    ["gone", "ended"],
    ["not_found", "missing"],
    ["forbidden", "refused"],
  ] as const)("ends where the server answers %s", async (code, end) => {
    admit = () => Promise.reject(new ApiError(code, 400, "no"));
    await call.join();
    expect(phase()).toBe(end);
  });

  it("tries again while the server cannot be reached, later each time, and at once when asked", async () => {
    admit = () => {
      tokens++;
      return Promise.reject(new ApiError("offline", 0, "away"));
    };
    void call.join();
    await settle();
    expect(call.store.get()).toMatchObject({ phase: "joining", attempt: 1 });
    await settle(499);
    expect(tokens).toBe(1);
    await settle(1);
    expect(tokens).toBe(2);
    await settle(999);
    expect(tokens).toBe(2);
    call.retryNow();
    await settle();
    expect(tokens).toBe(3);
    await settle(60_000);
    expect(tokens).toBeLessThan(12);
  });

  it("gives up on tokens that are refused again and again", async () => {
    world.connect = () => Promise.reject(ConnectionError.notAllowed("no", 401));
    void call.join();
    await settle(10_000);
    expect(phase()).toBe("refused");
    expect(tokens).toBe(3);
  });

  it("tells a server that cannot be reached from a network that lets no media through", async () => {
    world.connect = () => {
      world.room.emit(RoomEvent.SignalConnected);
      return Promise.reject(ConnectionError.internal("could not establish pc connection"));
    };
    void call.join();
    await settle();
    expect(call.store.get()).toMatchObject({ phase: "joining", obstacle: "network" });
    world.connect = () => Promise.reject(ConnectionError.serverUnreachable("away"));
    await settle(retryDelays[0]);
    expect(call.store.get()).toMatchObject({ phase: "joining", attempt: 2, obstacle: null });
    world.connect = () => Promise.reject(ConnectionError.leaveRequest("left", DisconnectReason.JOIN_FAILURE));
    await settle(retryDelays[1]);
    expect(call.store.get()).toMatchObject({ phase: "joining", attempt: 3, obstacle: "full" });
    world.connect = () => Promise.reject(ConnectionError.leaveRequest("left", DisconnectReason.SERVER_SHUTDOWN));
    await settle(retryDelays[2]);
    expect(call.store.get()).toMatchObject({ phase: "joining", attempt: 4, obstacle: null });
  });

  it("says that the browser is too old", async () => {
    world.supported = false;
    await call.join();
    expect(phase()).toBe("unsupported");
  });

  it("is not inside when one left while it connected", async () => {
    let open = () => {};
    world.connect = () => new Promise((resolve) => (open = resolve));
    void call.join();
    await settle();
    void call.leave();
    open();
    await settle();
    expect(phase()).toBe("left");
    expect(world.room.closed).toBe(true);
  });
});

describe("pictures that the server holds back", () => {
  it("are told from those that move", async () => {
    await inside();
    const chi = new FakeParticipant("p-chi.x");
    const camera = Object.assign(new FakeLocalTrack({}), { streamState: Track.StreamState.Active });
    chi.publications.push(new FakePublication(Camera, camera));
    world.room.remoteParticipants.set(chi.identity, chi);
    for (const held of [true, false]) {
      camera.streamState = held ? Track.StreamState.Paused : Track.StreamState.Active;
      world.room.emit(RoomEvent.TrackStreamStateChanged);
      await settle();
      expect(call.store.get().members[1]).toMatchObject({ camera, cameraHeld: held, screenHeld: false });
    }
  });
});

describe("losing the room", () => {
  it("joins again by itself with a new token, and sends what is on then", async () => {
    await inside();
    await settle(60_000);
    const away = new ApiError("offline", 0, "away");
    const answer = admit;
    admit = () => Promise.reject(away);
    world.room.lose();
    await settle();
    expect(call.store.get()).toMatchObject({ phase: "rejoining", attempt: 1, members: [] });
    await media.setOn("camera", false);
    await settle(30_000);
    expect(phase()).toBe("rejoining");
    admit = answer;
    await settle(10_000);
    expect(phase()).toBe("connected");
    expect(world.rooms).toHaveLength(2);
    expect(world.room.connectedWith).toBe("token 2");
    expect(publication(Microphone)?.track?.mediaStreamTrack).toBe(media.track("mic"));
    expect(publication(Camera)).toBeUndefined();
  });

  it("waits before it joins a room anew that threw it out at once", async () => {
    await inside();
    world.room.lose(DisconnectReason.STATE_MISMATCH);
    await settle();
    expect(tokens).toBe(1);
    await settle(500);
    expect(tokens).toBe(2);
  });

  it("shows that the client reconnects, and that it is back", async () => {
    await inside();
    world.room.emit(RoomEvent.ConnectionStateChanged, ConnectionState.Reconnecting);
    expect(phase()).toBe("reconnecting");
    world.room.emit(RoomEvent.ConnectionStateChanged, ConnectionState.Connected);
    expect(phase()).toBe("connected");
  });

  it.each([
    [DisconnectReason.ROOM_DELETED, "ended"],
    [DisconnectReason.PARTICIPANT_REMOVED, "removed"],
    [DisconnectReason.DUPLICATE_IDENTITY, "replaced"],
  ] as const)("stays out for the reason %i", async (reason, end) => {
    await inside();
    world.room.lose(reason);
    await settle(60_000);
    expect(phase()).toBe(end);
    expect(world.rooms).toHaveLength(1);
    expect(devices.tracks.map((t) => t.readyState)).toEqual(["ended", "ended"]);
  });

  it("says that the meeting ended to who ended it", async () => {
    await inside();
    await call.leave("ended");
    expect(phase()).toBe("ended");
  });

  it("lets go of the devices on leaving", async () => {
    await inside();
    await call.leave();
    expect(phase()).toBe("left");
    expect(world.room.closed).toBe(true);
    expect(devices.tracks.map((t) => t.readyState)).toEqual(["ended", "ended"]);
  });
});

describe("devices during the call", () => {
  it("sends the other device in the same place after a change", async () => {
    devices.plug("mic", "m2");
    await inside();
    await media.choose("mic", "m2");
    await settle();
    expect(world.room.localParticipant.publications).toHaveLength(2);
    expect(publication(Microphone)?.track?.mediaStreamTrack).toMatchObject({ deviceId: "m2" });
    expect(publication(Microphone)?.isMuted).toBe(false);
  });

  it("is mute to others while its only microphone is pulled out, and heard when it is back", async () => {
    await inside();
    devices.unplug("m1");
    await settle();
    expect(publication(Microphone)?.isMuted).toBe(true);
    expect(phase()).toBe("connected");
    devices.plug("mic", "m1");
    await settle();
    expect(publication(Microphone)?.isMuted).toBe(false);
    expect(publication(Microphone)?.track?.mediaStreamTrack).toBe(media.track("mic"));
  });

  it("says which input did not reach the server, until it does", async () => {
    await media.start();
    await media.setOn("mic", false);
    await media.setOn("camera", false);
    void call.join();
    await settle();
    world.room.localParticipant.failure = new Error("refused");
    await media.setOn("mic", true);
    await settle();
    expect(call.store.get().unsent).toBe("mic");
    world.room.localParticipant.failure = null;
    await media.setOn("mic", true);
    await settle();
    expect(call.store.get().unsent).toBeNull();
  });

  it("moves the sound to the chosen speaker", async () => {
    await inside();
    media.chooseSpeaker("s2");
    expect(world.room.outputs).toEqual(["s2"]);
  });
});

describe("sound that the browser blocks", () => {
  it("is said once somebody could be heard, and a click lets it through", async () => {
    await inside();
    world.room.canPlaybackAudio = false;
    world.room.emit(RoomEvent.AudioPlaybackStatusChanged, false);
    await settle();
    expect(call.store.get().soundBlocked).toBe(false); // alone, there is nothing to hear
    const chi = new FakeParticipant("p-chi.x");
    chi.isMicrophoneEnabled = true;
    world.room.remoteParticipants.set(chi.identity, chi);
    world.room.emit(RoomEvent.ParticipantConnected, chi);
    await settle();
    expect(call.store.get().soundBlocked).toBe(true);
    await call.allowSound();
    expect(call.store.get().soundBlocked).toBe(false);
  });
});

describe("sharing a screen", () => {
  it("stops the capture when it is shared no longer", async () => {
    await inside();
    const screen = new FakeLocalTrack({});
    world.room.emit(RoomEvent.LocalTrackUnpublished, new FakePublication(ScreenShare, screen));
    expect(screen.stopped).toBe(true);
    const camera = new FakeLocalTrack({});
    world.room.emit(RoomEvent.LocalTrackUnpublished, new FakePublication(Camera, camera));
    expect(camera.stopped).toBe(false); // LocalMedia's
  });

  it("says why a screen cannot be shared, but nothing of a change of mind", async () => {
    await inside();
    vi.spyOn(document, "hasFocus").mockReturnValue(true);
    world.room.localParticipant.screen = () => Promise.reject(new DOMException("closed", "NotAllowedError"));
    await call.share();
    expect(call.store.get()).toMatchObject({ sharing: false, shareProblem: null });
    world.room.localParticipant.screen = () => Promise.reject(new DOMException("held", "NotReadableError"));
    await call.share();
    expect(call.store.get().shareProblem).toBe("busy");
    world.room.localParticipant.screen = async () => {};
    await call.share();
    expect(call.store.get()).toMatchObject({ sharing: true, shareProblem: null });
  });
});
