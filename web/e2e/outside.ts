import { createHmac, randomBytes } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { createServer, type Server as HTTPServer } from "node:http";
import path from "node:path";
import type * as LiveKit from "livekit-client"; // types alone: what runs is the stock bundle of each version
import { afterAll, beforeAll, expect } from "vitest";
import { listen, newGate, type Gate } from "./gate";
import type { Server } from "./harness";
import { keepConnections, seesAndHears, type Evaluates } from "./media";

// Outside programs: LiveKit's client SDK as its makers ship it, in a page of another origin, with a token made by an
// operator's key. The packages stand in e2e/sdk, apart from what the client of ours ships.

export interface SDK {
  version: string;
  /** The folder of e2e/sdk/node_modules. */
  folder: string;
  /** Whether it asks for one connection (version 1 of the protocol) by itself. */
  asksForV1: boolean;
}

export const newest: SDK = { version: "2.23.0", folder: "livekit-client-2.23", asksForV1: true };

/** The range that docs/protocols/meeting.md declares. */
export const sdks: SDK[] = [
  { version: "2.15.16", folder: "livekit-client-2.15", asksForV1: false }, // a year old
  { version: "2.22.4", folder: "livekit-client-2.22", asksForV1: true },
  newest,
];

const key = "contract";
const secret = randomBytes(24).toString("hex");

/** What the server of useOutside needs. */
export const operatorKey = { COMMSD_MEDIA_API_KEYS: `{${key}: ${secret}}` };

/** What an outside program makes by itself: docs/protocols/meeting.md, "Tokens". */
export function newToken(identity: string, room: string, by = { key, secret }): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { iss: by.key, sub: identity, name: identity, exp: Math.floor(Date.now() / 1000) + 600, video: { room, roomJoin: true } };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", by.secret).update(signed).digest("base64url")}`;
}

/** What the SDK's makers ship for pages without a bundler. */
const bundle = (folder: string) => path.join(import.meta.dirname, "sdk", "node_modules", folder, "dist", "livekit-client.umd.js");

/** Serves pages that carry one SDK each and show what is received in small tiles. */
export function newSite(): HTTPServer {
  return createServer((req, res) => {
    const folder = sdks.find((s) => req.url?.startsWith(`/${s.folder}`))?.folder;
    if (!folder) return void res.writeHead(404).end();
    if (!req.url?.endsWith(".js")) {
      return void res.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html><title>SDK</title><style>video { width: 240px; height: 135px }</style><script src="/${folder}.js"></script>`);
    }
    createReadStream(bundle(folder)).pipe(res.writeHead(200, { "Content-Type": "text/javascript" }));
  });
}

/** A page's room, what its SDK has told, and how many pictures its camera has made. */
export interface There {
  room: LiveKit.Room;
  told: string[];
  drawn: number;
}

/** How somebody comes in. */
export interface Entry {
  options?: LiveKit.RoomOptions;
  codec?: "vp8" | "h264";
  /** In how many layers the picture is published: 3 of 960 × 540, 2 of 480 × 270, or none, and then no sound either; 2 unless said otherwise. */
  layers?: 0 | 2 | 3;
}

/** Runs in a page: joins the room and publishes, as the SDK's own documentation has it. */
async function enter({ url, token, options, codec = "vp8", layers = 2 }: Entry & { url: string; token: string }): Promise<void> {
  const { Room, Track, VideoPreset } = Reflect.get(window, "LivekitClient") as typeof LiveKit;
  const room = new Room(options);
  const told: string[] = [];
  for (const event of ["signalReconnecting", "reconnecting", "reconnected", "disconnected"] as const) room.on(event, () => told.push(event));
  room.on("participantDisconnected", (p: LiveKit.RemoteParticipant) => told.push(`${p.identity} left`));
  for (const event of ["trackMuted", "trackUnmuted"] as const) {
    room.on(event, (track: LiveKit.TrackPublication, of: LiveKit.Participant) => told.push(`${event} ${of.identity} ${track.source}`));
  }
  room.on("dataReceived", (data: Uint8Array, from?: LiveKit.RemoteParticipant) => told.push(`${from?.identity} says ${new TextDecoder().decode(data)}`));
  room.on("trackSubscribed", (track: LiveKit.RemoteTrack) => document.body.append(track.attach()));
  room.on("trackUnsubscribed", (track: LiveKit.RemoteTrack) => track.detach().forEach((element) => element.remove()));
  const there: There = { room, told, drawn: 0 };
  Reflect.set(window, "there", there);
  await room.connect(url, token);
  room.registerRpcMethod("repeat", (call) => Promise.resolve(`${call.callerIdentity} said ${call.payload}`));
  if (layers === 0) return;
  // The picture is drawn: Chromium's fake camera sends nothing at times when two pages ask for it at once.
  const [width, height] = layers === 3 ? [960, 540] : [480, 270];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d");
  setInterval(() => {
    if (!pen) return;
    pen.fillStyle = `hsl(${performance.now() / 20} 80% 50%)`;
    pen.fillRect(0, 0, width, height);
    there.drawn++;
  }, 66);
  const [camera] = canvas.captureStream(15).getVideoTracks();
  if (!camera) throw new Error("a canvas that draws nothing");
  await room.localParticipant.setMicrophoneEnabled(true);
  await room.localParticipant.publishTrack(camera, {
    source: Track.Source.Camera,
    simulcast: true,
    videoCodec: codec,
    backupCodec: false,
    // Layers that a connection begins with: no machine is too busy for them.
    videoEncoding: { maxBitrate: 150_000, maxFramerate: 15 },
    videoSimulcastLayers: [new VideoPreset(240, 135, 60_000, 15), ...(layers === 3 ? [new VideoPreset(480, 270, 90_000, 15)] : [])],
  });
}

/** Has a page that carries an SDK come in. */
export async function enterAt(page: Evaluates, how: Entry & { url: string; token: string }): Promise<void> {
  await within("entering", page.evaluate(`(${enter.toString()})(${JSON.stringify(how)})`));
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
      streams.push([r["type"], r["kind"], r["rid"], r["active"], r["mid"], r["frameWidth"], r["bytesReceived"] ?? r["bytesSent"], r["framesDecoded"] ?? r["framesSent"], r["keyFramesDecoded"] ?? r["keyFramesEncoded"], r["pliCount"], r["qualityLimitationReason"]].join(" "));
    }
    connections.push({ state: c.connectionState, ice: c.iceConnectionState, signaling: c.signalingState, streams });
  }
  return { state: room.state, told, own: tracks(room.localParticipant), others: [...room.remoteParticipants.values()].map((p) => [p.identity, ...tracks(p)]), connections };
}

/** What hangs is told by its name, not as a test that took too long. */
export async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${what} took longer than 40 s`)), 40_000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** A page of Playwright's or of Puppeteer's. */
export interface Visits extends Evaluates {
  goto(url: string): Promise<unknown>;
}

/** Somebody in the room, by an SDK. */
export class Guest {
  constructor(readonly page: Visits, readonly close: () => Promise<void>) {}

  /** Once it has been told this, it forgets it and what came before. */
  async isTold(what: string): Promise<void> {
    await expect.poll(() => this.do(({ told }) => told, null), { message: what }).toContain(what);
    await this.do(({ told }, w) => told.splice(0, told.indexOf(w) + 1), what);
  }

  /** What goes wrong with media is told with what the SDK knows. */
  async seesAndHears(): Promise<void> {
    await this.explained(seesAndHears(this.page));
  }

  async explained<T>(work: Promise<T>): Promise<T> {
    return work.catch(async (err: unknown) => {
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

  /** Says it again until it has come: what is said while somebody joins anew may be lost. */
  async keepsSaying(text: string, to: Guest, from: string): Promise<void> {
    const send = async () => {
      await this.do(({ room }, t) => room.localParticipant.publishData(new TextEncoder().encode(t), { reliable: true }), text);
      return to.do(({ told }) => told, null);
    };
    await expect.poll(send, { timeout: 30_000, interval: 500, message: text }).toContain(`${from} says ${text}`);
  }
}

export interface Outside {
  gate: Gate;
  /** Comes in with Chromium. */
  enter(sdk: SDK, room: string, identity: string, entry?: Entry): Promise<Guest>;
  /** Comes in with a page that keeps its connections (keepConnections). */
  enterWith(page: Visits, close: () => Promise<void>, sdk: SDK, room: string, identity: string, entry?: Entry): Promise<Guest>;
}

/** Makes what outside programs need beside the server, for one test file. The server needs `operatorKey`. */
export function useOutside(app: Server): Outside {
  let gate: Gate | undefined;
  let site: HTTPServer;
  let siteURL = "";
  beforeAll(async () => {
    for (const sdk of sdks) {
      if (!existsSync(bundle(sdk.folder))) throw new Error(`e2e/sdk has no ${sdk.folder}: run npm ci there, or make e2e`);
    }
    gate = await newGate(() => [app.url]);
    site = newSite();
    siteURL = `http://localhost:${await listen(site)}`;
  });
  afterAll(() => {
    gate?.close();
    site.close();
    site.closeAllConnections();
  });
  const outside: Outside = {
    get gate() {
      if (!gate) throw new Error("the gate stands only within tests");
      return gate;
    },
    async enter(sdk, room, identity, entry) {
      const page = await app.newPage();
      await page.context().addInitScript(keepConnections);
      return outside.enterWith(page, () => page.context().close(), sdk, room, identity, entry);
    },
    async enterWith(page, close, sdk, room, identity, entry = {}) {
      await page.goto(`${siteURL}/${sdk.folder}.html`);
      expect(await page.evaluate<string>("LivekitClient.version")).toBe(sdk.version);
      await enterAt(page, { ...entry, url: `ws://localhost:${outside.gate.port}`, token: newToken(identity, room) });
      return new Guest(page, close);
    },
  };
  return outside;
}
