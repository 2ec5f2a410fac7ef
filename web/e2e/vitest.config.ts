import { defineConfig } from "vitest/config";

// Browser tests of the built binary (../commsd). Each file has a server and a
// browser of its own. Pages wait more than they work, so two files go at a time;
// meetings work all the time, and go alone.
const meetings = ["**/meeting*.spec.ts", "**/stock-browsers.spec.ts"];

export default defineConfig({
  test: {
    root: import.meta.dirname,
    environment: "node",
    // On a machine that has other work, too, things take longer; nothing here is about how long.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000 } },
    projects: [
      {
        extends: true,
        test: { name: "pages", include: ["**/*.spec.ts"], exclude: meetings, maxWorkers: 2, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: { name: "meetings", include: meetings, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
