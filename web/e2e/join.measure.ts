import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type * as LiveKit from "livekit-client";
import { afterAll, beforeAll, it, vi } from "vitest";
import { listen } from "./gate";
import { freePort, useServer } from "./harness";
import { enterAt, newest, newSite, newToken, operatorKey } from "./outside";

// From asking to join to the first picture, with LiveKit's own client in Chromium: commsd and, where E2E_LIVEKIT names its
// program, LiveKit, in turns. Somebody publishes three layers in each room all the time.
const rounds = 15;
const livekit = process.env["E2E_LIVEKIT"];
const key = { key: "measure", secret: "for this machine alone, in this minute" };
const app = useServer({ env: operatorKey });
const site = newSite();
let siteURL = "";
let dir = "";
let other: ChildProcess | undefined;
const servers: { name: string; url: string; token: (identity: string) => string }[] = [];

beforeAll(async () => {
  siteURL = `http://localhost:${await listen(site)}`;
  servers.push({ name: "commsd", url: app.url.replace("http", "ws"), token: (identity) => newToken(identity, "join") });
  if (!livekit) return;
  dir = mkdtempSync(path.join(tmpdir(), "commsd-join-"));
  const [port, tcp, udp] = await Promise.all([freePort(), freePort(), freePort()]);
  const config = path.join(dir, "livekit.yaml");
  writeFileSync(config, `port: ${port}
bind_addresses: ["127.0.0.1"]
rtc: {tcp_port: ${tcp}, udp_port: ${udp}, use_external_ip: false, enable_loopback_candidate: true, interfaces: {includes: [lo]}, ips: {includes: [127.0.0.1/32]}}
keys: {${key.key}: "${key.secret}"}
logging: {level: warn}
`);
  other = spawn(livekit, ["--config", config], { stdio: "ignore" });
  await vi.waitFor(() => fetch(`http://127.0.0.1:${port}`), { timeout: 20_000 });
  servers.push({ name: "LiveKit", url: `ws://localhost:${port}`, token: (identity) => newToken(identity, "join", key) });
});

afterAll(async () => {
  site.close();
  site.closeAllConnections();
  if (other) {
    const ended = once(other, "exit");
    other.kill();
    await ended;
  }
  if (dir) rmSync(dir, { recursive: true });
});

/** Milliseconds. */
interface Took {
  joined: number;
  seen: number;
}

/** Runs in a page: how long until the room is joined, and until its first picture is shown. */
async function join({ url, token, options }: { url: string; token: string; options: LiveKit.RoomOptions }): Promise<Took> {
  const { Room } = Reflect.get(window, "LivekitClient") as typeof LiveKit;
  const room = new Room(options);
  const began = performance.now();
  const seen = new Promise<number>((done) => {
    room.on("trackSubscribed", (track: LiveKit.RemoteTrack) => {
      if (track.kind !== "video") return;
      const video = track.attach() as HTMLVideoElement;
      document.body.append(video);
      video.requestVideoFrameCallback(() => done(performance.now() - began));
    });
  });
  await room.connect(url, token);
  const joined = performance.now() - began;
  const times = { joined, seen: await seen };
  await room.disconnect();
  return times;
}

it.each([
  ["one connection where the server has it, as the SDK does by itself", {}],
  ["two connections", { singlePeerConnection: false }],
])("%s", { timeout: 300_000 }, async (name, options: LiveKit.RoomOptions) => {
  const open = async () => {
    const page = await app.newPage();
    await page.goto(`${siteURL}/${newest.folder}.html`);
    return page;
  };
  const publishers = [];
  for (const { url, token } of servers) {
    const page = await open();
    await enterAt(page, { url, token: token("publisher"), layers: 3, options });
    publishers.push(page);
  }
  const times = new Map(servers.map((s) => [s.name, { joined: [] as number[], seen: [] as number[] }]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name: server, url, token } of round % 2 ? servers : servers.toReversed()) {
      const page = await open();
      const how = JSON.stringify({ url, token: token(`viewer ${round}`), options });
      const took = await page.evaluate<Took>(`(${join.toString()})(${how})`);
      await page.context().close();
      if (round === 0) continue; // the first one warms all up
      times.get(server)?.joined.push(took.joined);
      times.get(server)?.seen.push(took.seen);
    }
  }
  for (const page of publishers) await page.context().close();
  for (const [server, all] of times) {
    const say = (ms: number[]) => {
      const sorted = ms.map(Math.round).sort((a, b) => a - b);
      return `${sorted[0]} ms at best, median ${sorted[Math.floor(rounds / 2)]}, at worst ${sorted.at(-1)}`;
    };
    process.stdout.write(`${name}: ${server}: joined ${say(all.joined)}; first picture ${say(all.seen)}\n`);
  }
});
