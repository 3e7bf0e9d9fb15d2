import { describe, expect, it } from "vitest";
import { backoffMs, MAX_RECONNECTS, pause } from "../src/stream/backoff";

describe("backoffMs", () => {
  it("doubles from half a second to ten", () => {
    expect([1, 2, 3, 4, 5, 6, 7].map((attempt) => backoffMs(attempt, 0.5))).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  });

  it("has a jitter of a fifth either way", () => {
    expect([backoffMs(2, 0), backoffMs(2, 1)]).toEqual([800, 1200]);
  });

  it("gives up after about a minute", () => {
    const totalS = Array.from({ length: MAX_RECONNECTS }, (_, index) => backoffMs(index + 1, 0.5)).reduce((sum, ms) => sum + ms, 0) / 1000;
    expect(totalS).toBeGreaterThan(45);
    expect(totalS).toBeLessThan(75);
  });
});

describe("pause", () => {
  it("ends when aborted, before or during the pause", async () => {
    const before = new AbortController();
    before.abort();
    await expect(pause(60_000, before.signal)).rejects.toThrow("aborted");
    const meanwhile = new AbortController();
    const waiting = pause(60_000, meanwhile.signal);
    meanwhile.abort();
    await expect(waiting).rejects.toThrow("aborted");
  });
});
