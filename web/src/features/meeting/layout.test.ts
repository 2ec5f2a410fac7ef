import { describe, expect, it } from "vitest";
import { gridShape } from "./layout";

describe("the grid of a call", () => {
  it.each([
    { count: 1, width: 1000, height: 650, columns: 1 },
    { count: 2, width: 1000, height: 650, columns: 2 }, // beside each other: above each other would cut heads off
    { count: 2, width: 1540, height: 920, columns: 2 },
    { count: 2, width: 374, height: 700, columns: 1 }, // a phone, upright
    { count: 4, width: 1900, height: 900, columns: 2 },
    { count: 9, width: 1900, height: 900, columns: 3 },
  ])("puts $count into $width × $height in $columns columns", ({ count, width, height, columns }) => {
    const shape = gridShape(count, width, height);
    expect(shape.columns).toBe(columns);
    const rows = Math.ceil(count / shape.columns);
    expect(shape.width * columns + 8 * (columns - 1)).toBeLessThanOrEqual(width);
    expect(shape.height * rows + 8 * (rows - 1)).toBeLessThanOrEqual(height);
    expect(shape.width / shape.height).toBeGreaterThan(4 / 3 - 0.001);
    expect(shape.width / shape.height).toBeLessThan(16 / 9 + 0.001);
  });

  it("scrolls rather than make faces unreadable", () => {
    const shape = gridShape(60, 374, 500);
    expect(shape).toEqual({ columns: 2, width: 183, height: 120 });
  });

  it("stands a box that is not measured yet", () => {
    expect(gridShape(3, 0, 0)).toMatchObject({ columns: 1 });
  });
});
