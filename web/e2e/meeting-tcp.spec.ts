import { expect, test } from "vitest";
import { signIn, useServer } from "./harness";
import { iceServers, keepConnections, mediaProtocols, seesAndHears } from "./media";

// What a browser is left with where a firewall drops UDP: the server answers on TCP alone.
const app = useServer({ udp: false });

test("where UDP is blocked, people meet over ICE-TCP and hear and see each other", async () => {
  const [an, chi] = await Promise.all([app.newPage(), app.newPage()]);
  for (const page of [an, chi]) await page.context().addInitScript(keepConnections);
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
    expect(await page.evaluate(mediaProtocols)).toEqual(["tcp"]);
    expect(await page.evaluate(iceServers), "servers that the operator did not name").toEqual([]);
  }
  await Promise.all([an.context().close(), chi.context().close()]);
}, 90_000);
