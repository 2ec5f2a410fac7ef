import type * as LiveKit from "livekit-client";
import { describe, expect, it, test } from "vitest";
import { useServer } from "./harness";
import { newest, operatorKey, sdks, useOutside, within, type Guest, type There } from "./outside";

// The contract with outside programs: the range of LiveKit's client SDK that docs/protocols/meeting.md declares.

const app = useServer({ env: operatorKey });
const outside = useOutside(app);

/** What a page knows of one layer of its camera, by the layer's RID. */
interface Layer {
  /** Whether anybody wants it. */
  active: boolean;
  sent: number;
}

/** Runs in a page. */
async function layers({ room }: There): Promise<Record<string, Layer>> {
  const out: Record<string, Layer> = {};
  for (const { track } of room.localParticipant.videoTrackPublications.values()) {
    for (const report of ((await track?.getRTCStatsReport()) ?? new Map<string, never>()).values() as Iterable<Record<string, unknown>>) {
      if (report["type"] !== "outbound-rtp" || typeof report["rid"] !== "string") continue;
      out[report["rid"]] = { active: report["active"] === true, sent: Number(report["framesSent"] ?? 0) };
    }
  }
  return out;
}

describe.each(sdks)("livekit-client $version", (sdk) => {
  it("meets, mutes, speaks, comes back after a broken socket and a restart, and leaves", { timeout: 240_000 }, async () => {
    outside.gate.opened();
    const room = `contract-${sdk.version}`;
    const [a, b] = await Promise.all([outside.enter(sdk, room, "a"), outside.enter(sdk, room, "b")]);
    const both = [a, b];
    for (const guest of both) await guest.seesAndHears();
    expect(Object.keys(await a.do(layers, null)).sort()).toEqual(["h", "q"]);

    await a.do(({ room }) => room.localParticipant.setMicrophoneEnabled(false), null);
    await b.isTold("trackMuted a microphone");
    await a.do(({ room }) => room.localParticipant.setMicrophoneEnabled(true), null);
    await b.isTold("trackUnmuted a microphone");
    await a.do(({ room }) => room.localParticipant.setCameraEnabled(false), null);
    await b.isTold("trackMuted a camera");
    await a.do(({ room }) => room.localParticipant.setCameraEnabled(true), null);
    await b.isTold("trackUnmuted a camera");
    await b.seesAndHears();

    await a.says("Kính chào", b, "a");
    const answer = await b.do(({ room }) => room.localParticipant.performRpc({ destinationIdentity: "a", method: "repeat", payload: "xin ý kiến" }), null);
    expect(answer).toBe("b said xin ý kiến");

    // The socket breaks, the media goes on: both are still who they were.
    const sids = await Promise.all(both.map((g) => g.sid()));
    outside.gate.cut();
    for (const guest of both) await guest.isTold("reconnected");
    expect(await Promise.all(both.map((g) => g.sid()))).toEqual(sids);
    for (const guest of both) await guest.seesAndHears();
    await b.says("Tôi nghe rõ", a, "b");

    // The server forgets all: both join anew by themselves.
    await within("stopping the server", app.stop());
    await within("starting the server", app.start());
    for (const guest of both) await guest.isTold("reconnected");
    const anew = await Promise.all(both.map((g) => g.sid()));
    expect(anew.filter((sid) => sids.includes(sid))).toEqual([]);
    for (const guest of both) await guest.seesAndHears();
    await a.keepsSaying("Ta tiếp tục", b, "a");

    await a.do(({ room }) => room.disconnect(), null);
    await b.isTold("a left");
    expect(new Set(outside.gate.opened().map((o) => o.path))).toEqual(new Set([sdk.asksForV1 ? "/rtc/v1" : "/rtc"]));
    await Promise.all(both.map((g) => g.close()));
  });
});

/** What a page has of the one picture it receives. */
interface Picture {
  width: number;
  received: number;
  decoded: number;
  /** The brightest colour in its middle, of 255; black has next to none. */
  brightness: number;
}

/** Runs in a page. */
async function look({ room }: There): Promise<Picture> {
  const out: Picture = { width: 0, received: 0, decoded: 0, brightness: 0 };
  const [from] = room.remoteParticipants.values();
  const [publication] = from?.videoTrackPublications.values() ?? [];
  const track = publication?.track as LiveKit.RemoteVideoTrack | undefined;
  for (const report of ((await track?.getRTCStatsReport()) ?? new Map<string, never>()).values() as Iterable<Record<string, unknown>>) {
    if (report["type"] !== "inbound-rtp") continue;
    out.width = Number(report["frameWidth"] ?? 0);
    out.received = Number(report["framesReceived"] ?? 0);
    out.decoded = Number(report["framesDecoded"] ?? 0);
  }
  const video = document.querySelector("video");
  const pen = Object.assign(document.createElement("canvas"), { width: 3, height: 3 }).getContext("2d");
  if (!video || !pen) return out;
  pen.drawImage(video, 0, 0, 3, 3);
  out.brightness = Math.max(...pen.getImageData(1, 1, 1, 1).data.slice(0, 3));
  return out;
}

const patience = { timeout: 30_000, interval: 200 };

/** A picture of that width comes in, and it is none of black. */
async function sees(guest: Guest, width: number): Promise<void> {
  const before = await guest.do(look, null);
  await guest.explained(
    expect
      .poll(async () => {
        const now = await guest.do(look, null);
        return { width: now.width, goesOn: now.decoded > before.decoded + 5, black: now.brightness < 60 };
      }, patience)
      .toEqual({ width, goesOn: true, black: false }),
  );
}

/** Runs in a page: waits for so many pictures of its camera. */
function draw(there: There, pictures: number): Promise<void> {
  const enough = there.drawn + pictures;
  return new Promise((done) => {
    const look = () => void (there.drawn >= enough ? done() : setTimeout(look, 30));
    look();
  });
}

/** Exactly these layers are wanted of the guest's camera: of the others no frame is sent while ten more are drawn. */
async function sends(guest: Guest, wanted: string[]): Promise<void> {
  let before = await guest.do(layers, null);
  await guest.explained(
    expect
      .poll(async () => {
        await guest.do(draw, 10);
        const now = await guest.do(layers, null);
        const sent = Object.keys(now).filter((rid) => now[rid]?.sent !== before[rid]?.sent);
        before = now;
        return { active: Object.keys(now).filter((rid) => now[rid]?.active).sort(), sent: sent.sort() };
      }, patience)
      .toEqual({ active: wanted, sent: wanted }),
  );
}

test("who looks gets the picture in the size it is shown in, and what nobody looks at is not sent", { timeout: 240_000 }, async () => {
  const a = await outside.enter(newest, "layers", "a", { options: { dynacast: true }, layers: 3 });
  const b = await outside.enter(newest, "layers", "b", { options: { adaptiveStream: true }, layers: 0 });
  await sees(b, 240); // in a tile
  await b.do(() => document.querySelector("video")?.requestFullscreen(), null);
  await sees(b, 960);
  await b.do(() => document.exitFullscreen(), null);
  await sees(b, 240);
  await sends(a, ["q"]);

  const show = (display: string, width: string) => b.do((_, style) => void Object.assign(document.querySelector("video")?.style ?? {}, style), { display, width, height: "auto" });
  await show("none", "240px");
  await sends(a, []);
  const hidden = await b.do(look, null);
  await sends(a, []);
  expect((await b.do(look, null)).received).toBe(hidden.received);

  // Somebody looks again, first at a tile and then at all of it: no layer that is wanted stays off.
  await show("block", "240px");
  await sees(b, 240);
  await sends(a, ["q"]);
  await show("block", "960px");
  await sees(b, 960);
  await Promise.all([a, b].map((g) => g.close()));
});
