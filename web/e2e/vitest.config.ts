import { defineConfig } from "vitest/config";

// Browser tests of the built binary (../commsd). One file at a time: each has a
// server and a browser of its own.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["**/*.spec.ts"],
    environment: "node",
    fileParallelism: false,
    testTimeout: 45_000,
    hookTimeout: 45_000,
  },
});
