import { describe, expect, it } from "vitest";
import { timelineTable } from "../src/components/timelineTable";
import { HISTORY_S, MAX_LINES, remember, timeline, type Sample } from "../src/stream/history";
import { parseMessage } from "../src/stream/messages";
import { wireResult } from "./fakes";

function sample(atS: number, values: Record<number, number | null>, connection = 1): Sample {
  const faces = Object.entries(values).map(([track, fakeProbability]) => ({
    track: Number(track),
    fakeProbability,
    score: fakeProbability,
  }));
  return { atS, connection, faces };
}

describe("timeline", () => {
  it("has one line per face, in order of appearance", () => {
    const { atS, lines } = timeline([sample(0, { 1: 0.1 }), sample(0.1, { 1: 0.2, 2: 0.9 })]);
    expect(atS).toEqual([0, 0.1]);
    expect(lines.map(({ track, window }) => ({ track, window }))).toEqual([
      { track: 1, window: [0.1, 0.2] },
      { track: 2, window: [null, 0.9] },
    ]);
  });

  it.each([
    ["silence", [sample(0, { 1: 0.1 }), sample(3, { 1: 0.2 })], [0, 1.5, 3], [[0.1, null, 0.2]]],
    ["a face that was away", [sample(0, { 1: 0.1 }), sample(0.1, {}), sample(0.2, { 1: 0.2 })], [0, 0.1, 0.2], [[0.1, null, 0.2]]],
    ["no evidence", [sample(0, { 1: 0.1 }), sample(0.1, { 1: null }), sample(0.2, { 1: 0.2 })], [0, 0.1, 0.2], [[0.1, null, 0.2]]],
    [
      "a new connection",
      [sample(0, { 1: 0.1 }), sample(0.2, { 1: 0.2 }, 2)],
      [0, 0.1, 0.2],
      [
        [0.1, null, null],
        [null, null, 0.2],
      ],
    ],
  ] as const)("shows %s as a gap", (_, history, times, windows) => {
    const built = timeline(history);
    expect(built.atS).toEqual(times);
    expect(built.lines.map((line) => line.window)).toEqual(windows);
  });

  it("keeps the faces that were seen last when there are too many", () => {
    const history = Array.from({ length: MAX_LINES + 2 }, (_, index) => sample(index / 10, { [index + 1]: 0.5 }));
    expect(timeline(history).lines.map((line) => line.track)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("is empty without results", () => {
    expect(timeline([])).toEqual({ atS: [], lines: [] });
  });
});

describe("remember", () => {
  it("drops results older than a minute", () => {
    const message = parseMessage(JSON.stringify({ type: "result", value: wireResult() }));
    if (message?.type !== "result") throw new Error("expected a result");
    const history = remember([sample(0, {}), sample(30, {})], message.value, HISTORY_S + 10, 1);
    expect(history.map(({ atS }) => atS)).toEqual([30, HISTORY_S + 10]);
    expect(history.at(-1)?.faces).toEqual([{ track: 1, fakeProbability: 0.08, score: 0.11 }]);
  });
});

describe("timelineTable", () => {
  it("averages each line over ten seconds, newest first", () => {
    const rows = timelineTable(timeline([sample(41, { 1: 0.2 }), sample(55, { 1: 0.4 }), sample(55.1, { 1: 0.6 })]), 60);
    expect(rows.map((row) => row.means)).toEqual([[0.5], [0.2], [null], [null], [null], [null]]);
    expect(rows[1]?.when).toBe("10 to 20 s ago");
  });
});
