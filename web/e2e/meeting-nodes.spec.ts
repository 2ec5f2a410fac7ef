import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newGate, type Gate } from "./gate";
import { launchChromium, newProgram, openPage, root, type Program } from "./harness";
import { connectionStates, keepConnections, meetAtOnce, seesAndHears } from "./media";

// Two processes of the program with one database, and before them an operator's proxy, which leads a browser to the
// node of its cookie, and to the other where that one is away.

/** A PostgreSQL server, which ends when its input does. */
interface Database {
  url: string;
  stop(): Promise<void>;
}

async function startDatabase(dir: string): Promise<Database> {
  const program = path.join(dir, "withengines");
  execFileSync("go", ["build", "-o", program, "./internal/testengine/cmd/withengines"], { cwd: root });
  // PostgreSQL does not run as root. Who is root of this run's network alone (tools/alone.sh) is an ordinary user again.
  const [, outside] = readFileSync("/proc/self/uid_map", "utf8").trim().split(/\s+/);
  const ordinary = process.getuid?.() === 0 && outside !== "0" ? ["unshare", "--user", "--map-user=1000"] : [];
  const [command = "", ...args] = [...ordinary, program, "--", "sh", "-c", 'echo "$COMMSD_TEST_POSTGRES"; cat'];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const [url] = (await Promise.race([once(createInterface(child.stdout), "line"), ended.then(() => [""])])) as [string];
  if (!url) throw new Error("no PostgreSQL; tools/install-test-packages.sh installs it");
  return {
    url,
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

let dir = "";
let database: Database | undefined;
let gate: Gate;
let browser: Browser;
const nodes: Program[] = [];

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), "commsd-e2e-"));
  database = await startDatabase(dir);
  gate = await newGate((req) => {
    const own = nodes[Number(/node=(\d)/.exec(req.headers.cookie ?? "")?.[1])];
    return [own, ...nodes.filter((n) => n !== own)].flatMap((n) => n?.url ?? []);
  });
  const env = { COMMSD_DATABASE_URL: database.url, COMMSD_SECRET_KEY_FILE: path.join(dir, "secret.key"), COMMSD_CLUSTER_LISTEN: "127.0.0.1:0" };
  for (const name of ["a", "b"]) {
    mkdirSync(path.join(dir, name));
    const node = await newProgram(path.join(dir, name), { env }, `http://localhost:${gate.port}`);
    nodes.push(node);
    await node.start();
  }
  browser = await launchChromium();
}, 240_000);

afterAll(async () => {
  await browser?.close();
  gate?.close();
  await Promise.all(nodes.map((n) => n.stop()));
  await database?.stop();
  if (dir) rmSync(dir, { recursive: true, force: true });
});

test("people on two nodes meet, and when the meeting's node is killed they meet on by themselves", async () => {
  const url = `http://localhost:${gate.port}`;
  let next = 0;
  const newPage = async () => {
    const own = next++;
    const page = await openPage(browser, url);
    await page.context().addCookies([{ name: "node", value: String(own), url }]);
    return page;
  };
  const { an, chi } = await meetAtOnce({ newPage }, keepConnections);
  const both = [an, chi];
  expect(new Set(gate.opened().filter((o) => o.path === "/rtc/v1").map((o) => o.at))).toEqual(new Set(nodes.map((n) => n.url)));
  for (const page of both) await seesAndHears(page);

  await nodes[0]?.stop("SIGKILL"); // An came first, and with him the room
  for (const page of both) {
    const ends = async () => {
      const states = await page.evaluate(connectionStates);
      return [states[0], states.at(-1)];
    };
    await expect.poll(ends, { timeout: 40_000 }).toEqual(["closed", "connected"]);
  }
  for (const page of both) await seesAndHears(page);
  expect(new Set(gate.opened().map((o) => o.at))).toEqual(new Set([nodes[1]?.url]));
  await an.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).waitFor();
  await Promise.all(both.map((page) => page.context().close()));
}, 240_000);
