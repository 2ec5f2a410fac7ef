import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach, vi } from "vitest";
import { loadTexts } from "../app/texts";
import { features } from "../app/features";
import { startTexts } from "../lib/i18n";

// A machine with much else to do answers late, not wrongly.
configure({ asyncUtilTimeout: 10_000 });

// What jsdom lacks and Mantine asks for.
Object.defineProperty(window, "matchMedia", {
  value: (query: string) => ({
    matches: false,
    media: query,
    addEventListener() {},
    removeEventListener() {},
    addListener() {},
    removeListener() {},
    onchange: null,
    dispatchEvent: () => false,
  }),
});
class NoResize implements ResizeObserver {
  observe() {}
  unobserve() {}
  disconnect() {}
}
window.ResizeObserver ??= NoResize;
Object.defineProperty(document, "fonts", { value: new EventTarget() });
window.scrollTo = () => {};
Element.prototype.scrollIntoView ??= () => {};

await startTexts(loadTexts, "vi", ["app", "ui", ...features.map((f) => f.name)]);

beforeEach(() => {
  localStorage.clear();
  sessionStorage.clear();
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});
