import { describe, expect, test } from "vitest";
import { freePort, useServer, type Server } from "./harness";
import { carriedBy, iceServers, keepConnections, meetAtOnce, seesAndHears } from "./media";

/** Runs in a page before its scripts: connections go by a relay or not at all. */
function relayOnly(): void {
  const Native = RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(configuration?: RTCConfiguration) {
      super({ ...configuration, iceTransportPolicy: "relay" });
    }
    override setConfiguration(configuration?: RTCConfiguration): void {
      super.setConfiguration({ ...configuration, iceTransportPolicy: "relay" });
    }
  };
}

/** Two people meet by the relay alone, which they reach by `protocol` at `url`. */
async function meet(app: Server, protocol: "udp" | "tls", url: string): Promise<void> {
  const { an, chi } = await meetAtOnce(app, relayOnly, keepConnections);
  for (const page of [an, chi]) {
    await seesAndHears(page);
    expect(await page.evaluate(carriedBy, "relayProtocol" as const)).toEqual([protocol]);
    expect(await page.evaluate(iceServers)).toEqual([url]);
  }
  await Promise.all([an.context().close(), chi.context().close()]);
}

// What a browser is left with where the media ports are closed: the server's own relay.
describe("over UDP", async () => {
  const port = await freePort();
  const app = useServer({ env: { COMMSD_TURN_UDP_LISTEN: `127.0.0.1:${port}`, COMMSD_TURN_HOST: "127.0.0.1" } });

  test("by the relay alone people meet and hear and see each other", async () => {
    await meet(app, "udp", `turn:127.0.0.1:${port}?transport=udp`);
  });
});

// And where nothing but the pages is open: the relay on their port.
describe("over TLS on the port of the pages", () => {
  const app = useServer({ https: true, env: { COMMSD_TURN_SHARE_HTTPS: "true" } });

  test("by the relay alone people meet and hear and see each other", async () => {
    await meet(app, "tls", `turns:localhost:${new URL(app.url).port}?transport=tcp`);
  });
});
