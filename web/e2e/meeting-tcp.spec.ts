import { expect, test } from "vitest";
import { useServer } from "./harness";
import { carriedBy, iceServers, keepConnections, meetAtOnce, seesAndHears } from "./media";

// What a browser is left with where a firewall drops UDP: the server answers on TCP alone.
const app = useServer({ udp: false });

test("where UDP is blocked, people meet over ICE-TCP and hear and see each other", async () => {
  const { an, chi } = await meetAtOnce(app, keepConnections);
  for (const page of [an, chi]) {
    await seesAndHears(page);
    expect(await page.evaluate(carriedBy, "protocol" as const)).toEqual(["tcp"]);
    expect(await page.evaluate(iceServers), "servers that the operator did not name").toEqual([]);
  }
  await Promise.all([an.context().close(), chi.context().close()]);
});
