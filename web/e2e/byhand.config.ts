import { defineConfig } from "vitest/config";

// What is run by hand, not by the suite: a measurement hangs on the machine, a picture is for people.
export default defineConfig({
  test: { root: import.meta.dirname, include: ["*.measure.ts", "*.picture.ts"], environment: "node", testTimeout: 120_000, hookTimeout: 45_000 },
});
