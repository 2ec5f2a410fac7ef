import { expect, it } from "vitest";
import { problemOf } from "./media-problem";

it.each([
  ["NotAllowedError", "denied"],
  ["SecurityError", "denied"],
  ["NotReadableError", "busy"],
  ["AbortError", "busy"],
  ["NotFoundError", "absent"],
  ["OverconstrainedError", "absent"],
  ["TypeError", "failed"],
])("%s means %s", (name, problem) => {
  expect(problemOf(new DOMException("as browsers throw it", name))).toBe(problem);
});

it("takes what is no error for a failure", () => {
  expect(problemOf("NotAllowedError")).toBe("failed");
});
