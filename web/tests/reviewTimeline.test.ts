import { describe, expect, it } from "vitest";
import type { FaceTrack, SampledFrame } from "../src/stream/analysisResults";
import {
  chosen,
  flaggedBeside,
  frameAt,
  MAX_LINES,
  moved,
  refusedCounts,
  reviewRows,
  reviewTimeline,
  showing,
  stepped,
  wholeRange,
  worstFirst,
  zoomed,
} from "../src/stream/reviewTimeline";
import { mediaTime } from "../src/times";

const track = (number: number, change: Partial<FaceTrack> = {}): FaceTrack => ({
  track: number,
  state: "real",
  reason: "",
  fakeProbability: 0.1,
  fromS: 0,
  toS: 1,
  admitted: 5,
  refused: [],
  ...change,
});
const frame = (timeS: number, ...scores: readonly (number | null)[]): SampledFrame => ({
  timeS,
  faces: scores.map((score, index) => ({ track: index + 1, score, fakeProbability: score })),
});

describe("a timeline", () => {
  it("has a line per face, with nothing where a face was not scored", () => {
    const { atS, lines } = reviewTimeline({ frames: [frame(0, 0.1), frame(0.2, null, 0.9)], tracks: [track(1), track(2)] }, 5);
    expect(atS).toEqual([0, 0.2]);
    expect(lines).toEqual([
      { track: 1, window: [0.1, null], scores: [0.1, null] },
      { track: 2, window: [null, 0.9], scores: [null, 0.9] },
    ]);
  });

  it("has gaps where samples are missing", () => {
    const frames = [0, 0.2, 0.4, 3, 3.2].map((at) => frame(at, 0.5));
    const { atS, lines } = reviewTimeline({ frames, tracks: [track(1)] }, 5);
    expect(atS).toEqual([0, 0.2, 0.4, 1.7, 3, 3.2]);
    expect(lines[0]?.window[3]).toBeNull();
  });

  it("has no gaps for a video with a low frame rate", () => {
    const frames = [0, 1, 2, 3].map((at) => frame(at, 0.5));
    expect(reviewTimeline({ frames, tracks: [track(1)] }, 5).atS).toHaveLength(4);
  });

  it("draws the worst faces when there are too many, by number", () => {
    const many = Array.from({ length: 30 }, (_, index) => track(index + 1, { state: index === 20 ? "fake" : "real" }));
    const { lines } = reviewTimeline({ frames: [], tracks: many }, 5);
    expect(lines).toHaveLength(MAX_LINES);
    expect(lines.at(-1)?.track).toBe(21);
    expect(worstFirst([track(1), track(2, { state: "uncertain" }), track(3, { fakeProbability: 0.14 })]).map((one) => one.track)).toEqual([
      2, 3, 1,
    ]);
  });

  it("is a table of twelve rows", () => {
    const frames = Array.from({ length: 60 }, (_, index) => frame(index / 5, index / 100));
    const timeline = reviewTimeline({ frames, tracks: [track(1)] }, 5);
    const rows = reviewRows(timeline, { fromS: 0, toS: 12 });
    expect(rows).toHaveLength(12);
    expect(rows[0]).toEqual({ fromS: 0, toS: 1, highest: [0.04] });
    expect(rows.at(-1)?.highest).toEqual([0.59]);
    expect(reviewRows(reviewTimeline({ frames: [frame(0, null)], tracks: [track(1)] }, 5), { fromS: 0, toS: 1 })).toEqual([
      { fromS: 0, toS: 1, highest: [null] },
    ]);
  });
});

describe("a zoom", () => {
  const whole = { fromS: 0, toS: 100 };

  it("keeps the position under the pointer, and stays inside the video", () => {
    expect(zoomed(whole, 0.5, 50, whole)).toEqual({ fromS: 25, toS: 75 });
    expect(zoomed(whole, 0.5, 0, whole)).toEqual({ fromS: 0, toS: 50 });
    expect(zoomed({ fromS: 0, toS: 50 }, 4, 10, whole)).toEqual(whole);
    expect(zoomed({ fromS: 10, toS: 11 }, 0.01, 10.5, whole)).toEqual({ fromS: 10.25, toS: 10.75 });
  });

  it("is the selected range, in either direction, and never empty", () => {
    expect(chosen(60, 40, whole)).toEqual({ fromS: 40, toS: 60 });
    expect(chosen(100, 100, whole)).toEqual({ fromS: 99.5, toS: 100 });
  });

  it("moves to its ends, and to the player", () => {
    expect(moved({ fromS: 40, toS: 60 }, 90, whole)).toEqual({ fromS: 80, toS: 100 });
    expect(showing({ fromS: 40, toS: 60 }, 50, whole)).toEqual({ fromS: 40, toS: 60 });
    expect(showing({ fromS: 40, toS: 60 }, 5, whole)).toEqual({ fromS: 0, toS: 20 });
  });

  it("starts with the whole video, whatever is known of it", () => {
    expect(wholeRange(31.2, [])).toEqual({ fromS: 0, toS: 31.2 });
    expect(wholeRange(null, [frame(0), frame(7)])).toEqual({ fromS: 0, toS: 7 });
    expect(wholeRange(null, []).toS).toBeGreaterThan(0);
  });
});

describe("a position in the video", () => {
  const frames = [0, 0.2, 0.4, 3].map((at) => frame(at, 0.5));

  it("has a nearest sample, and neighbours", () => {
    expect([-1, 0.09, 0.11, 1.6, 1.8, 9].map((at) => frameAt(frames, at)?.timeS)).toEqual([0, 0, 0.2, 0.4, 3, 3]);
    expect(frameAt([], 1)).toBeUndefined();
    expect(stepped(frames, 0.2, 1)).toBe(0.4);
    expect(stepped(frames, 0.2, -10)).toBe(0);
    expect(stepped(frames, 3, 1)).toBe(3);
    expect(stepped([], 3, 1)).toBe(0);
  });

  it("is formatted as in players", () => {
    expect([0, 59.96, 61, 3723].map((at) => mediaTime(at))).toEqual(["0:00", "1:00", "1:01", "1:02:03"]);
    expect([0.04, 9.96, 12.44, 3600.5].map((at) => mediaTime(at, 1))).toEqual(["0:00.0", "0:10.0", "0:12.4", "1:00:00.5"]);
  });
});

it("faces that were not scored are counted over all tracks", () => {
  const tracks = [
    track(1, {
      refused: [
        ["blurred", 2],
        ["too small", 1],
      ],
    }),
    track(2, { refused: [["too small", 4]] }),
  ];
  expect(refusedCounts(tracks)).toEqual([
    ["too small", 5],
    ["blurred", 2],
  ]);
});

it("flagged frames wrap around", () => {
  const flagged = [1, 2, 3].map((n) => ({ n, timeS: n, track: 1, score: 1, map: true }));
  expect([flaggedBeside(flagged, 3, 1)?.n, flaggedBeside(flagged, 1, -1)?.n, flaggedBeside(flagged, 9, 1)]).toEqual([1, 3, undefined]);
});
