import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError, errorOf } from "../../api/error";
import { Keeper, type Safety } from "./keeper";

/** A server whose answers the test gives. */
function setUp() {
  const here: (string | undefined)[] = [];
  const states: Safety["state"][] = [];
  const saves: { value: string; done: () => void; fail: (err: unknown) => void }[] = [];
  const keeper = new Keeper<string>({
    keepHere: (v) => here.push(v),
    save: (value) => new Promise((done, fail) => saves.push({ value, done, fail })),
    onChange: (s) => states.push(s.state),
  });
  return { keeper, here, states, saves };
}

const settle = () => vi.advanceTimersByTimeAsync(0);

describe("what is being written", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("is in the tab at once and at the server after a rest", async () => {
    const { keeper, here, states, saves } = setUp();
    keeper.change("a");
    keeper.change("ab");
    expect(here).toEqual(["a", "ab"]);
    await vi.advanceTimersByTimeAsync(1499);
    expect(saves).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(saves.map((s) => s.value)).toEqual(["ab"]);
    saves[0]?.done();
    await settle();
    expect(here.at(-1)).toBeUndefined(); // the server has it
    expect(states.at(-1)).toBe("saved");
  });

  it("is saved though one never rests", async () => {
    const { keeper, saves } = setUp();
    for (let i = 0; i < 11; i++) {
      keeper.change("x".repeat(i + 1));
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(saves.length).toBeGreaterThan(0);
  });

  it("is never overtaken by something older", async () => {
    const { keeper, here, saves } = setUp();
    keeper.change("old");
    await vi.advanceTimersByTimeAsync(1500);
    keeper.change("new");
    await vi.advanceTimersByTimeAsync(5000);
    expect(saves.map((s) => s.value)).toEqual(["old"]); // the first is still under way
    saves[0]?.done();
    await vi.advanceTimersByTimeAsync(100);
    expect(saves.map((s) => s.value)).toEqual(["old", "new"]);
    expect(here.at(-1)).toBe("new"); // until the server has it
  });

  it("stays in the tab while the server is away, and goes up later by itself", async () => {
    const { keeper, here, states, saves } = setUp();
    keeper.change("a");
    await vi.advanceTimersByTimeAsync(1500);
    saves[0]?.fail(new ApiError("offline", 0, ""));
    await settle();
    expect(states.at(-1)).toBe("failed");
    expect(here.at(-1)).toBe("a");
    await vi.advanceTimersByTimeAsync(10_000);
    expect(saves).toHaveLength(2);
  });

  it("is offered again after a line that was too slow for it", async () => {
    const { keeper, saves } = setUp();
    keeper.change("a");
    await vi.advanceTimersByTimeAsync(1500);
    saves[0]?.fail(await errorOf(new Response("", { status: 408 })));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(saves).toHaveLength(2);
  });

  it("is not offered again to a server that refused it", async () => {
    const { keeper, saves } = setUp();
    keeper.change("a");
    await vi.advanceTimersByTimeAsync(1500);
    saves[0]?.fail(new ApiError("invalid", 422, ""));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(saves).toHaveLength(1);
  });

  it("is saved by flush before it is sent, which says when that failed", async () => {
    const { keeper, saves } = setUp();
    keeper.change("a");
    const flushed = keeper.flush();
    await settle();
    saves[0]?.done();
    await flushed;
    await keeper.flush(); // nothing is left to save
    expect(saves).toHaveLength(1);
    keeper.change("b");
    const failed = keeper.flush().catch((err: unknown) => err);
    await settle();
    saves[1]?.fail(new ApiError("unavailable", 503, ""));
    expect(await failed).toBeInstanceOf(ApiError);
  });

  it("is left alone once it is being sent, and kept again when that failed", async () => {
    const { keeper, saves } = setUp();
    keeper.change("a");
    await keeper.pause();
    keeper.change("typed while sending");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(saves).toHaveLength(0);
    keeper.resume();
    await vi.advanceTimersByTimeAsync(0);
    expect(saves.map((s) => s.value)).toEqual(["typed while sending"]);
  });

  it("gets one last save when the page goes", async () => {
    const { keeper, saves } = setUp();
    keeper.change("a");
    keeper.stop();
    await settle();
    expect(saves.map((s) => s.value)).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(saves).toHaveLength(1);
  });
});
