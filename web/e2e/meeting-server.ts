import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

/** The built binary; `make build` leaves it at the root. */
const binary = process.env["E2E_COMMSD"] ?? path.resolve(import.meta.dirname, "../../commsd");

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** A demo server of its own ports and data, which a test may kill and start again. */
export class DemoServer {
  readonly url: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #data: string;
  #child: ChildProcess | null = null;

  private constructor(url: string, env: NodeJS.ProcessEnv, data: string) {
    this.url = url;
    this.#env = env;
    this.#data = data;
  }

  static async start(): Promise<DemoServer> {
    const data = await mkdtemp(path.join(tmpdir(), "commsd-e2e-"));
    const env: NodeJS.ProcessEnv = { PATH: process.env["PATH"], COMMSD_DATA_DIR: path.join(data, "data") };
    const names = ["HTTP", "ADMIN", "LDAP", "MEDIA_UDP", "MEDIA_TCP", "MAIL_SMTP", "MAIL_SUBMISSION", "MAIL_SUBMISSIONS", "MAIL_IMAP", "MAIL_IMAPS"];
    let http = 0;
    for (const name of names) {
      const port = await freePort();
      if (name === "HTTP") http = port;
      env[`COMMSD_${name}_LISTEN`] = `127.0.0.1:${port}`;
    }
    env["COMMSD_HTTP_PUBLIC_URL"] = `http://localhost:${http}`;
    const server = new DemoServer(`http://localhost:${http}`, env, data);
    await server.up();
    return server;
  }

  async up(): Promise<void> {
    const child = spawn(binary, ["serve", "--demo"], { env: this.#env, stdio: ["ignore", "ignore", "inherit"] });
    this.#child = child;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
      const answer = await fetch(`${this.url}/api/v1/info`).catch(() => null);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 50)); // it has no other way to tell us
    }
  }

  async down(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
    this.#child = null;
  }

  async stop(): Promise<void> {
    await this.down("SIGTERM");
    await rm(this.#data, { recursive: true, force: true });
  }
}
