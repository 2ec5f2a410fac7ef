import type { Page } from "playwright-core";
import { expect } from "vitest";
import { signIn, type Server } from "./harness";

/** What a page has received over the connections that stand. */
export interface Received {
  /** Frames decoded. */
  frames: number;
  /** Bytes of sound. */
  sound: number;
}

/** Runs in a page before its scripts: keeps the peer connections where countReceived finds them. */
export function keepConnections(): void {
  const all: RTCPeerConnection[] = [];
  const Native = RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      all.push(this);
    }
  };
  Reflect.set(window, "connections", all);
}

/** Runs in a page before its scripts: keeps its WebSockets where breakSocket finds them. */
export function keepSockets(): void {
  const all: WebSocket[] = [];
  const Native = WebSocket;
  window.WebSocket = class extends Native {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      all.push(this);
    }
  };
  Reflect.set(window, "sockets", all);
}

/** Runs in a page: breaks the meeting's socket, and tells how many it has had. */
export function breakSocket(): number {
  const meeting = (Reflect.get(window, "sockets") as WebSocket[]).filter((socket) => new URL(socket.url).pathname.startsWith("/rtc"));
  meeting.at(-1)?.close();
  return meeting.length;
}

/** Runs in a page: how many of the meeting's sockets there have been, and whether the last one is open. */
export function meetingSockets(): { count: number; open: boolean; paths: string[] } {
  const meeting = (Reflect.get(window, "sockets") as WebSocket[]).filter((socket) => new URL(socket.url).pathname.startsWith("/rtc"));
  return { count: meeting.length, open: meeting.at(-1)?.readyState === WebSocket.OPEN, paths: meeting.map((s) => new URL(s.url).pathname) };
}

/** Runs in a page: in what state the peer connections are that it has ever made. */
export function connectionStates(): string[] {
  return (Reflect.get(window, "connections") as RTCPeerConnection[]).map((connection) => connection.connectionState);
}

/** Runs in a page. */
export async function countReceived(): Promise<Received> {
  let frames = 0;
  let sound = 0;
  for (const connection of Reflect.get(window, "connections") as RTCPeerConnection[]) {
    if (connection.connectionState !== "connected") continue;
    for (const report of (await connection.getStats()).values() as Iterable<Record<string, unknown>>) {
      if (report["type"] !== "inbound-rtp") continue;
      if (report["kind"] === "video") frames += Number(report["framesDecoded"] ?? 0);
      else sound += Number(report["bytesReceived"] ?? 0);
    }
  }
  return { frames, sound };
}

/** Runs in a page: the remote addresses that media flows to, "198.51.100.10". */
export async function mediaAddresses(): Promise<string[]> {
  const found = new Set<string>();
  for (const connection of Reflect.get(window, "connections") as RTCPeerConnection[]) {
    const reports = await connection.getStats();
    for (const report of reports.values() as Iterable<Record<string, unknown>>) {
      if (report["type"] !== "candidate-pair" || report["state"] !== "succeeded" || !report["nominated"]) continue;
      const remote = reports.get(String(report["remoteCandidateId"])) as { address?: string } | undefined;
      if (remote?.address) found.add(remote.address);
    }
  }
  return [...found];
}

/**
 * Runs in a page: what carries the media of the pairs that its connections selected, "udp" or "tcp" of `protocol`; and
 * of `relayProtocol`, how they reach the relay, "udp" or "tls", "none" where they do without.
 */
export async function carriedBy(of: "protocol" | "relayProtocol"): Promise<string[]> {
  const found = new Set<string>();
  for (const connection of Reflect.get(window, "connections") as RTCPeerConnection[]) {
    const reports = await connection.getStats();
    for (const report of reports.values() as Iterable<Record<string, unknown>>) {
      if (report["type"] !== "transport") continue;
      const pair = reports.get(String(report["selectedCandidatePairId"])) as { localCandidateId?: string } | undefined;
      const local = reports.get(String(pair?.localCandidateId)) as Partial<Record<typeof of, string>> | undefined;
      found.add(local?.[of] ?? "none");
    }
  }
  return [...found];
}

/** Runs in a page: the STUN and TURN servers that its connections may ask. */
export function iceServers(): string[] {
  const all = (Reflect.get(window, "connections") as RTCPeerConnection[]).flatMap((c) => c.getConfiguration().iceServers ?? []);
  return [...new Set(all.flatMap((s) => s.urls))];
}

/** A page of Playwright's or of Puppeteer's. */
export interface Evaluates {
  evaluate<T>(work: string | (() => Promise<T>)): Promise<T>;
}

/** From now on further frames are decoded and further sound comes in. */
export async function seesAndHears(page: Evaluates): Promise<void> {
  const before = await page.evaluate(countReceived);
  await expect.poll(async () => (await page.evaluate(countReceived)).frames).toBeGreaterThan(before.frames + 5);
  await expect.poll(async () => (await page.evaluate(countReceived)).sound).toBeGreaterThan(before.sound + 500);
}

/** An makes a meeting and Chi comes in; both pages run `scripts` before their own. */
export async function meetAtOnce(app: Pick<Server, "newPage">, ...scripts: (() => void)[]): Promise<{ an: Page; chi: Page }> {
  const [an, chi] = await Promise.all([app.newPage(), app.newPage()]);
  for (const page of [an, chi]) for (const script of scripts) await page.context().addInitScript(script);
  await Promise.all([signIn(an, "an"), signIn(chi, "chi")]);
  await an.goto("/meetings");
  await an.getByRole("button", { name: "Họp ngay" }).click();
  await an.getByRole("button", { name: "Vào họp", exact: true }).click();
  await an.getByText("Chỉ có bạn trong phòng").waitFor();
  await chi.goto(an.url());
  await chi.getByRole("button", { name: "Vào họp", exact: true }).click();
  await an.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).waitFor();
  return { an, chi };
}
