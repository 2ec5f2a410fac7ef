import { expect, test } from "vitest";
import { freePort, signIn, useServer } from "./harness";
import { iceServers, keepConnections, relayProtocols, seesAndHears } from "./media";

// What a browser is left with where the media ports are closed: the server's own relay.
const port = await freePort();
const app = useServer({ env: { COMMSD_TURN_UDP_LISTEN: `127.0.0.1:${port}`, COMMSD_TURN_HOST: "127.0.0.1" } });

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

test("by the relay alone people meet and hear and see each other", async () => {
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
    expect(await page.evaluate(relayProtocols)).toEqual(["udp"]);
    expect(await page.evaluate(iceServers)).toEqual([`turn:127.0.0.1:${port}?transport=udp`]);
  }
  await Promise.all([an.context().close(), chi.context().close()]);
}, 90_000);
