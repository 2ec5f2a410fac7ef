import { describe, expect, test } from "vitest";
import { freePort, signIn, useServer, type Server } from "./harness";
import { iceServers, keepConnections, relayProtocols, seesAndHears } from "./media";

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
  const [an, chi] = await Promise.all([app.newPage(), app.newPage()]);
  for (const page of [an, chi]) {
    await page.context().addInitScript(relayOnly);
    await page.context().addInitScript(keepConnections);
  }
  await Promise.all([signIn(an, "an"), signIn(chi, "chi")]);
  await an.goto("/meetings");
  await an.getByRole("button", { name: "Họp ngay" }).click();
  await an.getByRole("button", { name: "Vào họp", exact: true }).click();
  await an.getByText("Chỉ có bạn trong phòng").waitFor();
  await chi.goto(an.url());
  await chi.getByRole("button", { name: "Vào họp", exact: true }).click();
  await an.getByRole("listitem", { name: /Lê Thị Kim Chi/ }).waitFor();
  for (const page of [an, chi]) {
    await seesAndHears(page);
    expect(await page.evaluate(relayProtocols)).toEqual([protocol]);
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
  }, 90_000);
});

// And where nothing but the pages is open: the relay on their port.
describe("over TLS on the port of the pages", () => {
  const app = useServer({ https: true, env: { COMMSD_TURN_SHARE_HTTPS: "true" } });

  test("by the relay alone people meet and hear and see each other", async () => {
    await meet(app, "tls", `turns:localhost:${new URL(app.url).port}?transport=tcp`);
  }, 90_000);
});
