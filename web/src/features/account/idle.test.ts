import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { reportActivity, stayAwake } from "../../api/activity";
import { watchIdle } from "./idle";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const touch = () => window.dispatchEvent(new Event("keydown"));

it("reports that somebody works at once, then once a minute at most, the last act included", async () => {
  const report = vi.fn(() => Promise.resolve());
  const stop = reportActivity(900, report);
  touch();
  expect(report).toHaveBeenCalledTimes(1);
  for (let i = 0; i < 30; i++) {
    await vi.advanceTimersByTimeAsync(1000);
    touch();
  }
  expect(report).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(report).toHaveBeenCalledTimes(2);
  await vi.advanceTimersByTimeAsync(300_000); // nobody there
  expect(report).toHaveBeenCalledTimes(2);
  const hangUp = stayAwake(); // a call is on
  await vi.advanceTimersByTimeAsync(180_000);
  expect(report.mock.calls.length).toBeGreaterThanOrEqual(4);
  hangUp();
  const before = report.mock.calls.length;
  await vi.advanceTimersByTimeAsync(180_000);
  expect(report.mock.calls.length).toBeLessThanOrEqual(before + 1);
  stop();
  touch();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(report.mock.calls.length).toBeLessThanOrEqual(before + 1);
});

it("asks whether the session is locked when nobody was here for that long, and again while other tabs keep it open", async () => {
  const answers = [false, false, true];
  const ask = vi.fn(() => Promise.resolve(answers.shift() ?? true));
  const stop = watchIdle(60, ask);
  await vi.advanceTimersByTimeAsync(50_000);
  touch();
  await vi.advanceTimersByTimeAsync(50_000);
  expect(ask).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(11_000);
  expect(ask).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(ask).toHaveBeenCalledTimes(2);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(ask).toHaveBeenCalledTimes(3); // locked: no more is to be asked
  stop();
});
