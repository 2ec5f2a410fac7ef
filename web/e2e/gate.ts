import { once } from "node:events";
import { createServer, request, type IncomingMessage, type Server as HTTPServer } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";

/** Stands before servers as an operator's proxy does, so that sockets can break without either side's doing; media goes by it. */
export interface Gate {
  /** Of loopback. */
  port: number;
  /** The WebSockets that were opened since last asked; refused ones do not count. */
  opened(): Opened[];
  /** Breaks all WebSockets. */
  cut(): void;
  close(): void;
}

export interface Opened {
  path: string;
  /** The server that it was opened at. */
  at: string;
}

export async function listen(server: HTTPServer): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

/** Connects to the first server of several at which anybody listens. */
async function reach(urls: string[]): Promise<{ at: string; onward: Socket }> {
  for (const at of urls) {
    const onward = connect(Number(new URL(at).port), "127.0.0.1");
    try {
      await once(onward, "connect");
      return { at, onward };
    } catch {
      // The next one.
    }
  }
  throw new Error(`nobody listens at ${urls.join(" or ")}`);
}

/** Leads each request to the first server that answers of those that `ways` names for it. */
export async function newGate(ways: (req: IncomingMessage) => string[]): Promise<Gate> {
  let opened: Opened[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((req, res) => {
    const lead = async () => {
      const { onward } = await reach(ways(req));
      const asked = request({ createConnection: () => onward, path: req.url, method: req.method, headers: { ...req.headers, connection: "close" } }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
      });
      asked.on("error", () => res.destroy());
      res.on("close", () => asked.destroy());
      req.pipe(asked);
    };
    lead().catch(() => res.destroy()); // the servers are away: so is the gate
  });
  server.on("upgrade", (req, socket: Socket, head: Buffer) => {
    socket.on("error", () => {}); // it closes next
    const lead = async () => {
      const { at, onward } = await reach(ways(req));
      onward.once("data", (answer: Buffer) => answer.includes("HTTP/1.1 101") && opened.push({ path: (req.url ?? "").replace(/\?.*/, ""), at }));
      const headers = Array.from({ length: req.rawHeaders.length / 2 }, (_, i) => `${req.rawHeaders[2 * i]}: ${req.rawHeaders[2 * i + 1]}\r\n`);
      onward.write(`GET ${req.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
      onward.on("error", () => {}); // likewise
      for (const [one, other] of [[socket, onward], [onward, socket]] as const) {
        sockets.add(one);
        one.on("close", () => {
          sockets.delete(one);
          other.destroy();
        });
      }
      if (socket.destroyed) onward.destroy();
    };
    lead().catch(() => socket.destroy());
  });
  const port = await listen(server);
  return {
    port,
    opened() {
      const since = opened;
      opened = [];
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
