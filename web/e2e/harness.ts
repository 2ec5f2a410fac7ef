import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { get } from "node:https";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";

export const root = path.join(import.meta.dirname, "..", "..");
const binary = process.env["E2E_BINARY"] ?? path.join(root, "commsd");
const shots = path.join(root, "artifacts", "screenshots");

/** The demo's people; the server itself says their password. */
export const people = {
  an: "an@noivu.g2g.example",
  binh: "binh@noivu.g2g.example",
  chi: "chi@hanoi.g2g.example",
  dung: "dung@hanoi.g2g.example",
  admin: "admin@g2g.example",
  kiemtoan: "kiemtoan@g2g.example",
} as const;
export type Who = keyof typeof people;
export const password = "commsd-demo-only";

// The server refuses COMMSD_ names it does not know, and must not take a developer's own.
const bare = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("COMMSD_")));

export interface Server {
  /** The address of the pages; set once the test runs. */
  readonly url: string;
  readonly browser: Browser;
  /** Where mail comes in: from other servers, and from mail clients over TLS from the first byte. */
  readonly mail: { smtp: number; submissions: number; imaps: number };
  /** A page in a private window of its own, on the pages' address. */
  newPage(options?: BrowserContextOptions): Promise<Page>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
}

export interface ServerOptions {
  /** Whether Chromium may send media over loopback, which no user's browser does; true unless said otherwise. */
  loopbackMedia?: boolean;
  /** Whether the server takes media over UDP, too, not over TCP alone; true unless said otherwise. */
  udp?: boolean;
  /** Whether pages are served over https, by a certificate that Chromium is told to take. */
  https?: boolean;
  /** Further flags for Chromium. */
  flags?: string[];
  /** Configuration by environment: COMMSD_SESSION_IDLE_LOCK. */
  env?: Record<string, string>;
}

/** Whether the server answers. Over https it takes any certificate: it is our own. */
async function answers(url: string): Promise<boolean> {
  if (url.startsWith("http:")) return (await fetch(url).catch(() => undefined))?.ok === true;
  return new Promise((done) => {
    get(url, { rejectUnauthorized: false }, (answer) => {
      answer.resume();
      done(answer.statusCode === 200);
    }).on("error", () => done(false));
  });
}

// Not of those that the kernel hands to whoever connects out: such a port may be another's before the server has it, or
// while the server is away. Files that run at a time have a thousand each.
let nextPort = 20_000 + 1_000 * Number(process.env["VITEST_POOL_ID"] ?? 0);

/** A port that nobody listens on, and that nobody is given without asking for it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort++;
    const listener = createServer();
    if (!(await new Promise<boolean>((done) => listener.once("error", () => done(false)).listen(port, "127.0.0.1", () => done(true))))) continue;
    listener.close();
    await once(listener, "close");
    const socket = createSocket("udp4"); // media of a server that is about to end, say
    if (!(await new Promise<boolean>((done) => socket.once("error", () => done(false)).bind(port, "127.0.0.1", () => done(true))))) continue;
    socket.close();
    await once(socket, "close");
    return port;
  }
}

/** One process of the program. */
export interface Program {
  /** Where it answers; its public address may be another. */
  readonly url: string;
  readonly mail: Server["mail"];
  start(): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Prepares the built binary with --demo on free ports, and with its data in a folder of its own. */
export async function newProgram(dir: string, { udp: overUDP = true, https = false, env = {} }: ServerOptions, publicURL?: string): Promise<Program> {
  const config = path.join(dir, "config.yaml");
  const [http, admin, udp, tcp, smtp, submission, submissions, imap, imaps, ldap] = (await Promise.all(Array.from({ length: 10 }, freePort))) as [number, ...number[]];
  const url = `${https ? "https" : "http"}://localhost:${http}`;
  const [cert, key] = [path.join(dir, "cert.pem"), path.join(dir, "key.pem")];
  if (https) {
    execFileSync("openssl", [
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
      "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
    ], { stdio: "ignore" });
  }
  writeFileSync(
    config,
    `data_dir: ${path.join(dir, "data")}
http: { listen: "127.0.0.1:${http}", public_url: "${publicURL ?? url}"${https ? `, tls: { cert: ${cert}, key: ${key} }` : ""} }
admin: { listen: "127.0.0.1:${admin}" }
media: { udp_listen: "${overUDP ? `127.0.0.1:${udp}` : ""}", tcp_listen: "127.0.0.1:${tcp}" }
mail:
  smtp_listen: "127.0.0.1:${smtp}"
  submission_listen: "127.0.0.1:${submission}"
  submissions_listen: "127.0.0.1:${submissions}"
  imap_listen: "127.0.0.1:${imap}"
  imaps_listen: "127.0.0.1:${imaps}"
ldap: { listen: "127.0.0.1:${ldap}" }
`,
  );
  let child: ChildProcess | undefined;
  let log = "";
  return {
    url,
    mail: { smtp: smtp ?? 0, submissions: submissions ?? 0, imaps: imaps ?? 0 },
    async start() {
      child = spawn(binary, ["serve", "--demo", "--config", config], { cwd: dir, env: { ...bare, ...env }, stdio: ["ignore", "pipe", "pipe"] });
      child.stdout?.on("data", (b: Buffer) => (log += b.toString()));
      child.stderr?.on("data", (b: Buffer) => (log += b.toString()));
      const deadline = Date.now() + 60_000;
      for (;;) {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`commsd ended with ${child.exitCode ?? child.signalCode}:\n${log}`);
        if (await answers(`${url}/api/v1/info`)) return;
        if (Date.now() > deadline) throw new Error(`commsd does not answer:\n${log}`);
        await new Promise((done) => setTimeout(done, 50)); // another process: there is no event to wait for
      }
    },
    async stop(signal = "SIGTERM") {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill(signal);
      await ended;
    },
  };
}

export function launchChromium({ loopbackMedia = true, https = false, flags = [] }: ServerOptions = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env["E2E_CHROMIUM"] ?? "/usr/bin/chromium",
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
      ...(loopbackMedia ? ["--allow-loopback-in-peer-connection"] : []), ...(https ? ["--ignore-certificate-errors"] : []), ...flags,
    ],
  });
}

/** A page in a private window of its own, on the pages' address. */
export async function openPage(browser: Browser, baseURL: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({
    baseURL, locale: "vi-VN", permissions: ["camera", "microphone", "clipboard-read", "clipboard-write"], ...options,
  });
  return context.newPage();
}

/** Starts the built binary with --demo on free ports in a folder of its own, and Chromium, for one test file. */
export function useServer(options: ServerOptions = {}): Server {
  let dir = "";
  let program: Program | undefined;
  let browser: Browser | undefined;
  const running = <T>(thing: T | undefined): T => {
    if (!thing) throw new Error("server and browser run only within tests");
    return thing;
  };

  beforeAll(async () => {
    dir = mkdtempSync(path.join(tmpdir(), "commsd-e2e-"));
    program = await newProgram(dir, options);
    await program.start();
    browser = await launchChromium(options);
  });

  afterAll(async () => {
    await browser?.close();
    await program?.stop();
    if (dir) rmSync(dir, { recursive: true, force: true });
  });

  return {
    get url() {
      return program?.url ?? "";
    },
    get browser() {
      return running(browser);
    },
    get mail() {
      return running(program).mail;
    },
    newPage: (context) => openPage(running(browser), running(program).url, { ignoreHTTPSErrors: options.https === true, ...context }),
    start: () => running(program).start(),
    stop: (signal) => running(program).stop(signal),
  };
}

/** Signs in at the page and waits for the frame. */
export async function signIn(page: Page, who: Who): Promise<void> {
  if (page.url() === "about:blank") await page.goto("/sign-in");
  await page.getByLabel("Tên đăng nhập", { exact: true }).fill(people[who]);
  await page.getByLabel("Mật khẩu", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Đăng nhập", exact: true }).click();
  await page.getByRole("navigation").first().waitFor(); // the rail; a page may have folders of its own
}

/** A passkey's device that says yes by itself, as one with a fingerprint does at once. */
export async function addAuthenticator(page: Page): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
}

/** Types where the page has put the focus, once it has: nobody types before they see where. */
export async function typeHere(page: Page, text: string): Promise<void> {
  await page.waitForFunction(() => document.activeElement?.matches("input, textarea") === true);
  await page.keyboard.type(text);
}

const axeSource = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/**
 * Waits until nothing on the page is on its way in or out: judged is what stays to be read, not a moment of its fading
 * in. What turns for ever is not waited for. An animation begins two frames after its cause, and what faded out is
 * taken away a timer after its end, so all must be still for some frames.
 */
export async function settled(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    for (let still = 0; still < 5; still++) {
      const moving = document.getAnimations().filter((a) => a.playState === "running" && a.effect?.getComputedTiming().iterations !== Infinity);
      if (moving.length > 0) still = 0;
      await Promise.allSettled(moving.map((a) => a.finished));
      await frame();
    }
  });
}

/** axe finds nothing on the page as it now stands; of one rule alone, when a rule is named. */
export async function expectAccessible(page: Page, { where = "", rule }: { where?: string; rule?: string } = {}): Promise<void> {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(await axeSource); // through the debugger: the content policy stays on
  await settled(page);
  const violations = await page.evaluate(async (only) => {
    interface Axe {
      run(options: object): Promise<{ violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[] }>;
    }
    const { axe } = globalThis as unknown as { axe: Axe };
    const result = await axe.run({ resultTypes: ["violations"], ...(only && { runOnly: [only] }) });
    return result.violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.map((n) => `  ${n.html}\n  ${n.failureSummary ?? ""}`).join("\n")}`);
  }, rule);
  expect(violations.join("\n"), where).toBe("");
}

/**
 * Listens for what no page may do: errors in the console (a refusal by the content policy is one), exceptions,
 * requests to another site. The answer grows as the page runs; but for what `known` names, it stays empty.
 */
export function watch(page: Page, known = /^$/): string[] {
  const wrong: string[] = [];
  const note = (line: string) => known.test(line) || wrong.push(line);
  page.on("console", (m) => m.type() === "error" && note(`console: ${m.text()} ${m.location().url}`));
  page.on("pageerror", (err) => note(`exception: ${err.message}`));
  let own = "";
  page.on("request", (r) => {
    const url = new URL(r.url());
    if (r.isNavigationRequest() && r.frame() === page.mainFrame()) own ||= url.host;
    if (/^(http|ws)s?:$/.test(url.protocol) && url.host !== own) note(`request to another site: ${r.url()}`);
  });
  page.on("websocket", (ws) => new URL(ws.url()).host !== own && note(`socket to another site: ${ws.url()}`));
  return wrong;
}

/** Keeps pictures of the page: light and dark, phone to large screen, in artifacts/screenshots. */
export async function screenshots(page: Page, name: string): Promise<void> {
  mkdirSync(shots, { recursive: true });
  const before = page.viewportSize();
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const [width, height] of [[390, 844], [1024, 768], [1920, 1080]] as const) {
      await page.setViewportSize({ width, height });
      await page.screenshot({ path: path.join(shots, `${name}-${scheme}-${width}.png`) });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  if (before) await page.setViewportSize(before);
}
