import { expect, it } from "vitest";
import { judge } from "./rules";

const rules = { min: 15, context: ["an.nguyen@noivu.g2g.example", "Nguyễn Văn An"] };

it.each([
  ["một câu dài dễ nhớ", { length: true, pattern: true, context: true }],
  ["ngắn quá", { length: false, pattern: true, context: true }],
  ["aaaaaaaaaaaaaaaaaaaa", { length: true, pattern: false, context: true }],
  ["Nguyễn Văn An 2026", { length: true, pattern: true, context: false }],
  ["noivu.an.nguyen@g2g", { length: true, pattern: true, context: false }],
  ["nguyên liệu làm bánh", { length: true, pattern: true, context: true }],
  ["🙂🙃😀😁😂😃😄😅😆😇😈😉😊😋😌", { length: true, pattern: true, context: true }], // 15 characters as one counts
])("%s", (password, kept) => {
  expect(judge(password, rules)).toEqual(kept);
});
