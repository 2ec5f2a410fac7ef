import { networkInterfaces } from "node:os";
import puppeteer, { type Browser, type ElementHandle, type Page } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { people, signIn, useServer } from "./harness";
import { breakSocket, connectionStates, keepConnections, keepSockets, mediaAddresses, meetingSockets, seesAndHears } from "./media";
import { newest, operatorKey, useOutside, type Guest, type There } from "./outside";

// Browsers as people have them send no media over loopback: the demo offers it
// on the machine's own addresses, and this run's machine has one for documentation.
const address = "198.51.100.10";
const app = useServer({ loopbackMedia: false, env: operatorKey });
const outside = useOutside(app);
let firefox: Browser;

beforeAll(async () => {
  const own = Object.values(networkInterfaces()).flatMap((all) => all?.map((a) => a.address) ?? []);
  if (!own.includes(address)) throw new Error(`run it with tools/alone.sh, or npm run e2e: this network has no ${address}`);
  firefox = await puppeteer.launch({
    browser: "firefox",
    executablePath: process.env["E2E_FIREFOX"] ?? "/usr/bin/firefox-esr",
    extraPrefsFirefox: {
      // A camera and a microphone that need no hands, and no question about them.
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "intl.accept_languages": "vi",
    },
  });
});

afterAll(async () => {
  await firefox?.close();
});

/** Waits for something by its accessible name; Puppeteer's own waiting needs eval, which the content policy forbids. */
async function find(page: Page, name: string): Promise<ElementHandle> {
  let found: ElementHandle | null = null;
  await expect.poll(async () => (found = await page.$(`::-p-aria(${name})`)) !== null, { message: name }).toBe(true);
  if (!found) throw new Error(`${name} is gone`);
  return found;
}

async function signInWithFirefox(): Promise<Page> {
  const page = await firefox.newPage();
  await page.setViewport({ width: 1280, height: 800 });
  await page.evaluateOnNewDocument(keepConnections);
  await page.evaluateOnNewDocument(keepSockets);
  await page.goto(`${app.url}/sign-in`);
  await (await find(page, "Tên đăng nhập")).click();
  await page.keyboard.type(people.chi);
  await page.keyboard.press("Tab");
  await page.keyboard.type("commsd-demo-only");
  await page.keyboard.press("Enter");
  await find(page, "Họp");
  return page;
}

test("stock Firefox and stock Chromium meet on the demo and hear and see each other", async () => {
  const [chi, an] = await Promise.all([signInWithFirefox(), app.newPage()]);
  await an.context().addInitScript(keepConnections);
  await an.context().addInitScript(keepSockets);
  await signIn(an, "an");
  await an.goto("/meetings");
  await an.getByRole("button", { name: "Họp ngay" }).click();
  await an.getByRole("button", { name: "Vào họp", exact: true }).click();
  await an.getByText("Chỉ có bạn trong phòng").waitFor();

  await chi.goto(an.url());
  await (await find(chi, "Vào họp[role='button']")).click();
  await an.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).waitFor();
  await expect.poll(() => chi.evaluate(() => document.body.innerText)).toContain("Nguyễn Văn An");
  await seesAndHears(an);
  await seesAndHears(chi);
  expect(await an.evaluate(mediaAddresses)).toEqual([address]);
  expect(await chi.evaluate(mediaAddresses)).toEqual([address]);

  // One connection serves both ways, and outlives the socket it was agreed on.
  for (const page of [an, chi] as { evaluate<T>(fn: () => T): Promise<T> }[]) {
    expect(await page.evaluate(connectionStates)).toEqual(["connected"]);
    expect(await page.evaluate(breakSocket)).toBe(1);
    await expect.poll(() => page.evaluate(meetingSockets)).toEqual({ count: 2, open: true, paths: ["/rtc/v1", "/rtc/v1"] });
  }
  await seesAndHears(an);
  await seesAndHears(chi);
  for (const page of [an, chi] as { evaluate<T>(fn: () => T): Promise<T> }[]) {
    expect(await page.evaluate(connectionStates)).toEqual(["connected"]);
  }

  await (await find(chi, "Rời cuộc họp[role='button']")).click();
  await an.getByText("Chỉ có bạn trong phòng").waitFor();
  await an.context().close();
});

/** Runs in a page: what the pictures are encoded in that are played or go out, and in which layers. */
async function codecs({ room }: There, way: "inbound-rtp" | "outbound-rtp"): Promise<string[]> {
  const found = new Set<string>();
  for (const participant of [room.localParticipant, ...room.remoteParticipants.values()]) {
    for (const { track } of participant.videoTrackPublications.values()) {
      const reports = (await track?.getRTCStatsReport()) ?? new Map<string, Record<string, unknown>>();
      for (const report of reports.values() as Iterable<Record<string, unknown>>) {
        if (report["type"] !== way || Number(report["framesDecoded"] ?? report["framesSent"] ?? 0) < 5) continue;
        const codec = reports.get(String(report["codecId"])) as { mimeType?: string } | undefined;
        found.add([codec?.mimeType, report["rid"]].filter(Boolean).join(" "));
      }
    }
  }
  return [...found].sort();
}

test(`livekit-client ${newest.version} in stock Firefox meets Chromium, where one sends H264, and comes back after a broken socket`, async () => {
  const page = await firefox.newPage();
  await page.evaluateOnNewDocument(keepConnections);
  const a = await outside.enter(newest, "browsers", "a", { codec: "h264" });
  const b = await outside.enterWith(page, () => page.close(), newest, "browsers", "b");
  const c = await outside.enter(newest, "browsers", "c");
  const all = [a, b, c];
  for (const guest of all) await guest.seesAndHears();
  const shows = (guest: Guest, way: "inbound-rtp" | "outbound-rtp", wanted: string[]) =>
    guest.explained(expect.poll(() => guest.do(codecs, way)).toEqual(wanted));
  await shows(a, "outbound-rtp", ["video/H264 h", "video/H264 q"]);
  await shows(a, "inbound-rtp", ["video/VP8"]);
  await shows(c, "inbound-rtp", ["video/H264", "video/VP8"]);
  // Firefox fetches its H264 from the Internet, once it may: where it has none it still has all else.
  const plays = await page.evaluate(() => RTCRtpReceiver.getCapabilities("video")?.codecs.some((codec) => codec.mimeType === "video/H264"));
  await shows(b, "inbound-rtp", plays ? ["video/H264", "video/VP8"] : ["video/VP8"]);
  await a.says("Kính chào", b, "a");

  const sid = await b.sid();
  outside.gate.cut();
  for (const guest of all) await guest.isTold("reconnected");
  expect(await b.sid()).toBe(sid);
  for (const guest of all) await guest.seesAndHears();
  await b.says("Tôi nghe rõ", a, "b");
  await Promise.all(all.map((g) => g.close()));
}, 240_000);
