import { defineConfig } from "vitest/config";

// `npm run lcp`: a measurement, not a test; it stays out of the suite because it hangs on the machine.
export default defineConfig({
  test: { root: import.meta.dirname, include: ["lcp.measure.ts"], environment: "node", testTimeout: 120_000, hookTimeout: 45_000 },
});
