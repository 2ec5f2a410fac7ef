import { mkdirSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { fillDay, hand } from "./content";
import { useServer } from "./harness";

// The picture in the README: An's day, with meetings, messages and mail.
const app = useServer();
const images = path.join(import.meta.dirname, "..", "..", "docs", "images");

it("takes the README's picture", async () => {
  await fillDay(app);
  const { page } = await hand(app, "an");
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.clock.setSystemTime(Date.now() + 12 * 60_000); // not everything has come this very second
  await page.goto("/");
  for (const part of [/^Cuộc họp/, /^Tin nhắn chưa đọc \d/, /^Thư chưa đọc \d/]) {
    await page.getByRole("region", { name: part }).getByRole("listitem").first().waitFor();
  }
  await page.waitForLoadState("networkidle");
  await page.evaluate(() => document.fonts.ready);
  mkdirSync(images, { recursive: true });
  const picture = await page.screenshot({ path: path.join(images, "today.png") });
  expect(picture.length).toBeLessThan(300_000);
});
