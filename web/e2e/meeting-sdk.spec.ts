import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createReadStream, existsSync } from "node:fs";
import { createServer, request, type Server as HTTPServer } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import path from "node:path";
import type * as LiveKit from "livekit-client"; // types alone: what runs is the stock bundle of each version
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useServer } from "./harness";
import { keepConnections, seesAndHears } from "./media";

// The contract with outside programs: the range of LiveKit's client SDK that docs/protocols/meeting.md declares, each
// as its makers ship it, in a page of another origin, with a token made by an operator's key. The packages stand in
// e2e/sdk, apart from what the client of ours ships.

interface SDK {
  version: string;
  /** The folder of e2e/sdk/node_modules. */
  folder: string;
  /** Whether it asks for one connection (version 1 of the protocol) by itself. */
  asksForV1: boolean;
}

const sdks: SDK[] = [
  { version: "2.15.16", folder: "livekit-client-2.15", asksForV1: false }, // a year old
  { version: "2.22.4", folder: "livekit-client-2.22", asksForV1: true },
  { version: "2.23.0", folder: "livekit-client-2.23", asksForV1: true },
];

const key = "contract";
const secret = randomBytes(24).toString("hex");
const app = useServer({ env: { COMMSD_MEDIA_API_KEYS: `{${key}: ${secret}}` } });

/** What an outside program makes by itself: docs/protocols/meeting.md, "Tokens". */
function newToken(identity: string, room: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { iss: key, sub: identity, name: identity, exp: Math.floor(Date.now() / 1000) + 600, video: { room, roomJoin: true } };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** Stands between the SDKs and the server, so that sockets can break without either's doing; media goes by it. */
interface Gate {
  url: string;
  /** The paths that sockets were opened at since last asked; refused ones do not count. */
  opened(): string[];
  /** Breaks all sockets. */
  cut(): void;
  close(): void;
}

async function listen(server: HTTPServer): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

async function newGate(): Promise<Gate> {
  let paths: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((req, res) => {
    const onward = request(new URL(req.url ?? "/", app.url), { method: req.method, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    onward.on("error", () => res.destroy()); // the server is away: so is the gate
    req.pipe(onward);
  });
  server.on("upgrade", (req, socket: Socket, head: Buffer) => {
    const onward = connect(Number(new URL(app.url).port), "localhost", () => {
      onward.once("data", (answer: Buffer) => answer.includes("HTTP/1.1 101") && paths.push((req.url ?? "").replace(/\?.*/, "")));
      const headers = Array.from({ length: req.rawHeaders.length / 2 }, (_, i) => `${req.rawHeaders[2 * i]}: ${req.rawHeaders[2 * i + 1]}\r\n`);
      onward.write(`GET ${req.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    for (const [one, other] of [[socket, onward], [onward, socket]] as const) {
      sockets.add(one);
      one.on("error", () => {}); // it closes next
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  const port = await listen(server);
  return {
    url: `ws://localhost:${port}`,
    opened() {
      const since = paths;
      paths = [];
      return since;
    },
    cut: () => sockets.forEach((s) => s.destroy()),
    close() {
      for (const s of sockets) s.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What the SDK's makers ship for pages without a bundler. */
const bundle = (folder: string) => path.join(import.meta.dirname, "sdk", "node_modules", folder, "dist", "livekit-client.umd.js");

/** Serves blank pages that carry one SDK each. */
function newSite(): HTTPServer {
  return createServer((req, res) => {
    const folder = sdks.find((s) => req.url?.startsWith(`/${s.folder}`))?.folder;
    if (!folder) return void res.writeHead(404).end();
    if (!req.url?.endsWith(".js")) return void res.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html><title>SDK</title><script src="/${folder}.js"></script>`);
    createReadStream(bundle(folder)).pipe(res.writeHead(200, { "Content-Type": "text/javascript" }));
  });
}

/** A page's room, and what its SDK has told. */
interface There {
  room: LiveKit.Room;
  told: string[];
}

/** Runs in a page: joins the room and publishes, as the SDK's own documentation has it. */
async function enter({ url, token }: { url: string; token: string }): Promise<void> {
  const { Room, Track, VideoPreset } = Reflect.get(window, "LivekitClient") as typeof LiveKit;
  const room = new Room();
  const told: string[] = [];
  for (const event of ["signalReconnecting", "reconnecting", "reconnected", "disconnected"] as const) room.on(event, () => told.push(event));
  room.on("participantDisconnected", (p: LiveKit.RemoteParticipant) => told.push(`${p.identity} left`));
  for (const event of ["trackMuted", "trackUnmuted"] as const) {
    room.on(event, (track: LiveKit.TrackPublication, of: LiveKit.Participant) => told.push(`${event} ${of.identity} ${track.source}`));
  }
  room.on("dataReceived", (data: Uint8Array, from?: LiveKit.RemoteParticipant) => told.push(`${from?.identity} says ${new TextDecoder().decode(data)}`));
  room.on("trackSubscribed", (track: LiveKit.RemoteTrack) => document.body.append(track.attach()));
  room.on("trackUnsubscribed", (track: LiveKit.RemoteTrack) => track.detach().forEach((element) => element.remove()));
  Reflect.set(window, "there", { room, told } satisfies There);
  await room.connect(url, token);
  room.registerRpcMethod("repeat", (call) => Promise.resolve(`${call.callerIdentity} said ${call.payload}`));
  // The picture is drawn: Chromium's fake camera sends nothing at times when two pages ask for it at once.
  const canvas = Object.assign(document.createElement("canvas"), { width: 480, height: 270 });
  const pen = canvas.getContext("2d");
  setInterval(() => {
    if (!pen) return;
    pen.fillStyle = `hsl(${performance.now() / 20} 80% 50%)`;
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }, 66);
  const [camera] = canvas.captureStream(15).getVideoTracks();
  if (!camera) throw new Error("a canvas that draws nothing");
  await room.localParticipant.setMicrophoneEnabled(true);
  await room.localParticipant.publishTrack(camera, {
    source: Track.Source.Camera,
    simulcast: true,
    // Two layers that a connection begins with: no machine is too busy for them.
    videoEncoding: { maxBitrate: 150_000, maxFramerate: 15 },
    videoSimulcastLayers: [new VideoPreset(240, 135, 60_000, 15)],
  });
}

/** Runs in a page: the layers in which its camera is published. */
async function layers(): Promise<string[]> {
  const { room } = Reflect.get(window, "there") as There;
  const out: string[] = [];
  for (const { track } of room.localParticipant.videoTrackPublications.values()) {
    for (const report of ((await track?.getRTCStatsReport()) ?? new Map<string, never>()).values() as Iterable<Record<string, unknown>>) {
      if (report["type"] === "outbound-rtp" && typeof report["rid"] === "string") out.push(report["rid"]);
    }
  }
  return out;
}

/** Runs in a page: what is known of its media, for whoever asks why there is none. */
async function describeMedia(): Promise<object> {
  const { room, told } = Reflect.get(window, "there") as There;
  const tracks = (p: LiveKit.Participant) =>
    [...p.trackPublications.values()].map((t) => [t.source, t.trackSid, t.isSubscribed && "subscribed", t.isMuted && "muted", t.track?.streamState].filter(Boolean).join(" "));
  const connections = [];
  for (const c of Reflect.get(window, "connections") as RTCPeerConnection[]) {
    const streams = [];
    for (const r of (await c.getStats()).values() as Iterable<Record<string, unknown>>) {
      if (r["type"] === "media-source" && r["kind"] === "video") streams.push(`source ${String(r["frames"])} frames, ${String(r["width"])} × ${String(r["height"])}`);
      if (r["type"] === "transport" || r["type"] === "candidate-pair" && r["nominated"]) streams.push(`${String(r["type"])} ${String(r["availableOutgoingBitrate"])} ${String(r["dtlsState"])}`);
      if (r["type"] !== "inbound-rtp" && r["type"] !== "outbound-rtp") continue;
      streams.push([r["type"], r["kind"], r["rid"], r["mid"], r["bytesReceived"] ?? r["bytesSent"], r["framesDecoded"] ?? r["framesSent"], r["keyFramesDecoded"] ?? r["keyFramesEncoded"], r["pliCount"], r["qualityLimitationReason"]].join(" "));
    }
    connections.push({ state: c.connectionState, ice: c.iceConnectionState, signaling: c.signalingState, streams });
  }
  return { state: room.state, told, own: tracks(room.localParticipant), others: [...room.remoteParticipants.values()].map((p) => [p.identity, ...tracks(p)]), connections };
}

let gate: Gate;
let site: HTTPServer;
let siteURL = "";
beforeAll(async () => {
  for (const sdk of sdks) {
    if (!existsSync(bundle(sdk.folder))) throw new Error(`e2e/sdk has no ${sdk.folder}: run npm ci there, or make e2e`);
  }
  gate = await newGate();
  site = newSite();
  siteURL = `http://localhost:${await listen(site)}`;
});
afterAll(() => {
  gate.close();
  site.close();
  site.closeAllConnections();
});

/** What hangs is told by its name, not as a test that took too long. */
async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${what} took longer than 40 s`)), 40_000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Somebody in the room, by an SDK. */
class Guest {
  constructor(readonly page: Page) {}

  static async enter(sdk: SDK, room: string, identity: string): Promise<Guest> {
    const page = await app.newPage();
    await page.context().addInitScript(keepConnections);
    await page.goto(`${siteURL}/${sdk.folder}.html`);
    expect(await page.evaluate(() => (Reflect.get(window, "LivekitClient") as typeof LiveKit).version)).toBe(sdk.version);
    await within("entering", page.evaluate(enter, { url: gate.url, token: newToken(identity, room) }));
    return new Guest(page);
  }

  /** Once it has been told this, it forgets it and what came before. */
  async isTold(what: string): Promise<void> {
    const told = () => this.page.evaluate(() => (Reflect.get(window, "there") as There).told);
    await expect.poll(told, { timeout: 20_000, message: what }).toContain(what);
    await this.page.evaluate((w) => {
      const { told } = Reflect.get(window, "there") as There;
      told.splice(0, told.indexOf(w) + 1);
    }, what);
  }

  /** What goes wrong with media is told with what the SDK knows. */
  async seesAndHears(): Promise<void> {
    await seesAndHears(this.page).catch(async (err: unknown) => {
      throw new Error(`${String(err)}\n${JSON.stringify(await this.page.evaluate(describeMedia), null, 1)}`, { cause: err });
    });
  }

  do<T, A>(act: (there: There, argument: A) => T | Promise<T>, argument: A): Promise<T> {
    // An expression of functions' texts: what runs in a page knows nothing of this module.
    const text = `(${act.toString()})(window.there, ${JSON.stringify(argument)})`;
    return within(text, this.page.evaluate<T>(text));
  }

  sid(): Promise<string> {
    return this.do(({ room }) => room.localParticipant.sid, null);
  }

  async says(text: string, to: Guest, from: string): Promise<void> {
    await this.do(({ room }, t) => room.localParticipant.publishData(new TextEncoder().encode(t), { reliable: true }), text);
    await to.isTold(`${from} says ${text}`);
  }
}

describe.each(sdks)("livekit-client $version", (sdk) => {
  it("meets, mutes, speaks, comes back after a broken socket and a restart, and leaves", { timeout: 120_000 }, async () => {
    gate.opened();
    const room = `contract-${sdk.version}`;
    const [a, b] = await Promise.all([Guest.enter(sdk, room, "a"), Guest.enter(sdk, room, "b")]);
    const both = [a, b];
    for (const guest of both) await guest.seesAndHears();
    expect((await a.page.evaluate(layers)).sort()).toEqual(["h", "q"]);

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
    gate.cut();
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
    await a.says("Ta tiếp tục", b, "a");

    await a.do(({ room }) => room.disconnect(), null);
    await b.isTold("a left");
    expect(new Set(gate.opened())).toEqual(new Set([sdk.asksForV1 ? "/rtc/v1" : "/rtc"]));
    await Promise.all(both.map((g) => g.page.context().close()));
  });
});
