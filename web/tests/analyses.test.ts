import { describe, expect, it } from "vitest";
import { factsOf, progressWords, quarter, size } from "../src/analysisWords";
import { hrefOf, routeOf } from "../src/route";
import { ShapeError } from "../src/stream/shape";
import { EVERY_ANALYSIS, followed, readAnalysis, readAnnotated, withAnalysis, type Analysis } from "../src/stream/analyses";
import { readResults } from "../src/stream/analysisResults";
import { wireAnalysis, wireResults } from "./fakeAnalyses";

const read = (change: Record<string, unknown> = {}): Analysis => readAnalysis(wireAnalysis(change), "analysis");

describe("an analysis", () => {
  it("is parsed, with null for unknown values", () => {
    const unknown = { kind: "", width: 0, height: 0, duration_s: 0, fps: 0, codec: "" };
    const file = { name: "clip.mp4", bytes: 5, sha256: "ab", ...unknown };
    expect(read({ file }).file).toMatchObject({ kind: null, width: null, durationS: null, codec: null });
    expect(read({ verdict: "fake", same_as: "01" })).toMatchObject({ verdict: "fake", sameAs: "01" });
  });

  it.each([
    ["a state of no protocol", { state: "lost" }],
    ["a share above one", { done_share: 1.2 }],
    ["a verdict of no protocol", { verdict: "perhaps" }],
    ["no file", { file: null }],
  ])("with %s is refused", (_, change) => {
    expect(() => read(change)).toThrow(ShapeError);
  });

  it("has results with faces, refusals and flagged frames", () => {
    const { models, notes } = readResults(wireResults(), "results");
    expect(models[0]?.tracks[0]?.refused).toEqual([["blurred", 3]]);
    expect(models[0]?.frames[1]?.faces[0]).toEqual({ track: 1, score: 0.97, fakeProbability: 0.93 });
    expect(models[0]?.flagged[0]).toMatchObject({ n: 1, map: true });
    expect(notes).toEqual([]);
    expect(() => readResults({ ...wireResults(), models: [{}] }, "results")).toThrow(/models\[0\]/);
  });

  it("has an annotated video or none", () => {
    expect(readAnnotated({ state: "none", done_share: 0, problem: "" }, "annotated").state).toBe("none");
    expect(() => readAnnotated({ state: "lost" }, "annotated")).toThrow(ShapeError);
  });
});

describe("a list of analyses", () => {
  const [oldest, middle, newest] = [1, 2, 3].map((createdS) => read({ id: String(createdS), created_s: createdS })) as [
    Analysis,
    Analysis,
    Analysis,
  ];
  const ids = (items: readonly Analysis[]): string => items.map(({ id }) => id).join("");

  it("inserts each in its place, and only once", () => {
    expect(ids(withAnalysis([newest, oldest], middle, EVERY_ANALYSIS))).toBe("321");
    expect(ids(withAnalysis([middle, oldest], newest, EVERY_ANALYSIS))).toBe("321");
    expect(ids(withAnalysis([newest, middle, oldest], { ...middle, state: "running" }, EVERY_ANALYSIS))).toBe("321");
    expect(ids(withAnalysis([], oldest, EVERY_ANALYSIS))).toBe("1");
  });

  it("leaves out analyses that the filter excludes", () => {
    const running = { ...middle, state: "running" as const };
    expect(ids(withAnalysis([newest, running, oldest], { ...running, state: "done" }, { search: "", state: "running" }))).toBe("31");
    expect(ids(withAnalysis([], middle, { search: "other", state: null }))).toBe("");
    expect(ids(withAnalysis([], middle, { search: "CLIP", state: null }))).toBe("2");
  });

  it("follows running analyses, or the next one", () => {
    const [queued, later] = [
      { ...oldest, state: "queued" as const },
      { ...middle, state: "queued" as const },
    ];
    expect(followed([newest, later, queued], 2)).toEqual(["1"]);
    expect(followed([{ ...newest, state: "running" }, later, queued], 2)).toEqual(["3"]);
    expect(followed([newest], 2)).toEqual([]);
  });

  it("is kept in the URL", () => {
    const route = { page: "analyses", filter: { search: "a b", state: "failed" } } as const;
    expect(hrefOf(route)).toBe("#/analyses?search=a+b&state=failed");
    expect(routeOf(hrefOf(route))).toEqual(route);
    expect(routeOf("#/analyses?state=lost")).toEqual({ page: "analyses", filter: EVERY_ANALYSIS });
    expect(routeOf("#/analyses/0192")).toEqual({ page: "analysis", id: "0192" });
  });
});

describe("words", () => {
  it("state the progress", () => {
    expect(progressWords(0.407, 12.4)).toBe("40 %, about 12 s left");
    expect(progressWords(0, null)).toBe("0 %");
    expect([0.1, 0.3, 0.49, 0.5, 1].map((share) => quarter("It", share))).toEqual([
      "It began",
      "It: 25 %",
      "It: 25 %",
      "It: 50 %",
      "It: 100 %",
    ]);
  });

  it("describe the file as far as known", () => {
    expect(factsOf(read().file)).toBe("Video, 1280 × 720, 31.2 s, 29.97 fps, h264, 124 kB");
    expect(factsOf({ ...read().file, kind: null, width: null, durationS: null, fps: null, codec: null })).toBe("124 kB");
    expect([999, 5e6, 2_147_483_648].map(size)).toEqual(["1 kB", "5.0 MB", "2.15 GB"]);
  });
});
