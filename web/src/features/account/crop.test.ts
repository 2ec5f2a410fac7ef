import { expect, it } from "vitest";
import { moved, squareOf, wholeCrop, within } from "./crop";

const wide = { width: 400, height: 200 };

it("begins with the largest square of the middle", () => {
  expect(squareOf(wide, wholeCrop)).toEqual({ x: 100, y: 0, side: 200 });
});

it("never leaves the picture, wherever it is moved and however it is enlarged", () => {
  for (const zoom of [0, 1, 2.5, 4, 99]) {
    for (const [dx, dy] of [[5, 5], [-5, -5], [0.3, -9]] as const) {
      const { x, y, side } = squareOf(wide, moved(wide, within(wide, { ...wholeCrop, zoom }), dx, dy));
      expect(x).toBeGreaterThanOrEqual(-1e-9);
      expect(y).toBeGreaterThanOrEqual(-1e-9);
      expect(x + side).toBeLessThanOrEqual(400 + 1e-9);
      expect(y + side).toBeLessThanOrEqual(200 + 1e-9);
      expect(side).toBeGreaterThanOrEqual(50);
    }
  }
});

it("moves the picture with the pointer: dragged right, its left comes into the frame", () => {
  expect(squareOf(wide, moved(wide, wholeCrop, 0.25, 0)).x).toBe(50);
});
