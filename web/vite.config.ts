import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { mantineCSS } from "./scripts/mantine-css.ts";

// Where `npm run dev` finds the server: the demo's default address.
const server = process.env["COMMSD_DEV_SERVER"] ?? "http://localhost:8080";

export default defineConfig({
  plugins: [react(), mantineCSS()],
  build: {
    outDir: "dist",
    // placeholder.txt stays: `go build` needs the folder before the first web build.
    emptyOutDir: false,
    target: "es2022",
    manifest: "assets/manifest.json", // read by scripts/budget.mjs
    sourcemap: false,
    assetsInlineLimit: 0, // the content policy allows no data: scripts or fonts
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // What every page needs, in two files: they compress better than many, and the first
            // stays in caches when only our own code changes. The frame is for who is signed in;
            // the sign-in page has the controls alone of it.
            { name: "base", priority: 2, test: /node_modules[\\/](react|react-dom|scheduler|i18next|react-i18next|zustand|openapi-fetch|use-sync-external-store|@tanstack)[\\/]/ },
            { name: "controls", priority: 2, test: /src[\\/]app[\\/](Preferences|Brand)\.tsx$/ },
            { name: "frame", priority: 0, test: /src[\\/]app[\\/](SignedIn|Announcer|Frame|Header|Rail|Bell|AccountMenu|ActivePosition|Flyout|nav)\.tsx?$/ },
            { name: "shell", priority: 1, test: /src[\\/](main|app[\\/](App|router|features))\.tsx?$/ },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      "/api": { target: server, ws: true, changeOrigin: true },
      "/rtc": { target: server, ws: true, changeOrigin: true },
    },
  },
  test: {
    environment: "jsdom",
    include: ["src/**/*.test.{ts,tsx}", "scripts/**/*.test.mjs"],
    setupFiles: ["src/testing/setup.ts"],
    css: { modules: { classNameStrategy: "non-scoped" } },
    maxWorkers: 2,
    testTimeout: 30_000,
  },
});
