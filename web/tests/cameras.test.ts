import { describe, expect, it } from "vitest";
import { cameraVerdict, lasted, shownCamera, stateSentence } from "../src/cameraWords";
import { hrefOf, routeOf } from "../src/route";
import { readCamera, readScores, readTested, type Camera, type StateEntry } from "../src/stream/cameras";
import { EVERY_EVENT, filterQuery, readEvent, readFilter, withEvent, type CameraEvent } from "../src/stream/events";
import { parseMessage } from "../src/stream/messages";
import { scoreLines, scoreRows, stateSpans } from "../src/stream/scoreHistory";
import { fromLocalInput, localInput, span } from "../src/times";
import { wireCamera, wireEvent } from "./fakeCameras";
import { wireResult } from "./fakes";

const camera = (change: Record<string, unknown> = {}): Camera => readCamera(wireCamera(change), "camera");
const event = (change: Record<string, unknown> = {}): CameraEvent => readEvent(wireEvent(change), "event");

describe("the cameras of the server", () => {
  it("are parsed, with null for unknown values", () => {
    const read = camera({ width: null, height: null, verdict: null, retry_at_s: 5 });
    expect(read).toMatchObject({ name: "door", width: null, verdict: null, retryAtS: 5, settings: { rateHz: 5 } });
  });

  it.each([{ state: "lively" }, { name: 5 }, { settings: null }, { verdict: { state: "real" } }])("is refused when it is %o", (change) => {
    expect(() => camera(change)).toThrow(/expected/);
  });

  it("have scores in rows of five", () => {
    const read = readScores(
      {
        step_s: 60,
        items: [
          [60, 0.1, 0.2, 0.3, "real"],
          [120, null, null, null, "no_face"],
        ],
      },
      "scores",
    );
    expect(read.items[1]).toEqual({ atS: 120, low: null, mean: null, high: null, state: "no_face" });
    expect(() => readScores({ step_s: 60, items: [[60, 2, 0.2, 0.3, "real"]] }, "scores")).toThrow(/\[0, 1\]/);
  });

  it("accept pictures only as data, and evidence only below their own events", () => {
    const tested = { ok: true, detail: "", codec: "", width: null, height: null, fps: null, picture: "https://else.where/a.jpg" };
    expect(() => readTested(tested, "tested")).toThrow(/data URL/);
    const evidence = { picture: "https://else.where/a.jpg", face: null, clip: null, bytes: 0, problem: "" };
    expect(() => event({ evidence })).toThrow(/below/);
  });
});

describe("the texts about a camera", () => {
  const seen = (change: Record<string, unknown> = {}) => ({ camera: camera(change), atMs: 1000 });

  it.each([
    [{}, "open", "real", "Real"],
    [{ verdict: null }, "open", "gathering", "Gathering"],
    [{ state: "stalled", verdict: null }, "open", "offline", "Stalled"],
    [{ state: "backing_off", verdict: null }, "open", "offline", "Reconnecting"],
    [{ state: "stopped", verdict: null }, "open", "idle", "Stopped"],
    [{}, "waiting", "stale", "Stale"],
  ] as const)("%o, feed %s: %s", (change, feed, state, word) => {
    expect(shownCamera(seen(change), feed, 1200)).toMatchObject({ state, word });
  });

  it("is stale without a recent report", () => {
    expect(shownCamera(seen(), "open", 1000 + 4000).state).toBe("real");
    expect(shownCamera(seen(), "open", 1000 + 6000)).toMatchObject({ state: "stale", fresh: false });
  });

  it("does not repeat a word", () => {
    expect(stateSentence({ state: "live", reason: "25 fps" })).toBe("Live: 25 fps");
    expect(stateSentence({ state: "stopped", reason: "stopped by a person" })).toBe("Stopped by a person.");
    expect(stateSentence({ state: "live", reason: "" })).toBe("Live");
  });

  it("has a verdict only while it is live with a current result", () => {
    const message = parseMessage(JSON.stringify({ type: "result", value: wireResult() }));
    const result = message?.type === "result" ? message.value : null;
    const of = { feed: "open", failure: null, result, stale: false } as const;
    expect(cameraVerdict(camera(), of)).toMatchObject({ state: "real", fakeProbability: 0.08 });
    expect(cameraVerdict(camera(), { ...of, stale: true })).toMatchObject({ state: "stale", fakeProbability: null });
    expect(cameraVerdict(camera(), { ...of, result: null }).state).toBe("gathering");
    expect(cameraVerdict(camera({ state: "refused", reason: "wrong password" }), of)).toMatchObject({
      state: "offline",
      word: "Refused",
      reason: "Refused: wrong password",
      fakeProbability: null,
    });
  });

  it("says how long an event lasted, or at least lasted", () => {
    expect(lasted(event(), 0)).toBe("Lasted 48 s");
    expect(lasted(event({ interrupted: true }), 0)).toMatch(/^Lasted at least 48 s/);
    expect(lasted(event({ ended_s: null }), 1795300000 + 125)).toBe("Ongoing for 2 min 5 s");
  });
});

describe("filters and addresses", () => {
  it.each([
    "#/",
    "#/cameras",
    "#/cameras/front-door",
    "#/events",
    "#/events?camera=door&kind=fake&from=5&open=true",
    "#/events/01ab",
    "#/models",
  ])("%s leads to a page and back", (hash) => {
    expect(hrefOf(routeOf(hash))).toBe(hash);
  });

  it("lead to the live check if they are invalid", () => {
    expect(routeOf("#/else")).toEqual({ page: "live" });
    expect(routeOf("#/cameras/%")).toEqual({ page: "camera", name: "%" });
    expect(readFilter(new URLSearchParams("kind=lamp&from=soon"))).toEqual(EVERY_EVENT);
    expect(filterQuery(EVERY_EVENT).toString()).toBe("");
  });
});

describe("a list of events", () => {
  const list = [event({ id: "c", began_s: 300 }), event({ id: "a", began_s: 100 })];
  const ids = (items: readonly CameraEvent[]) => items.map(({ id }) => id);

  it("inserts a new one in its place, newest first", () => {
    expect(ids(withEvent(list, event({ id: "d", began_s: 400 }), EVERY_EVENT))).toEqual(["d", "c", "a"]);
    expect(ids(withEvent(list, event({ id: "b", began_s: 200 }), EVERY_EVENT))).toEqual(["c", "b", "a"]);
    expect(ids(withEvent([], event({ id: "b", began_s: 200 }), EVERY_EVENT))).toEqual(["b"]);
  });

  it("updates one that ended, even the last", () => {
    expect(withEvent(list, event({ id: "a", began_s: 100, ended_s: 160 }), EVERY_EVENT).at(-1)).toMatchObject({ id: "a", endedS: 160 });
  });

  it("leaves older ones to the next page, and excluded ones out", () => {
    expect(ids(withEvent(list, event({ id: "0", began_s: 50 }), EVERY_EVENT))).toEqual(["c", "a"]);
    expect(ids(withEvent(list, event({ id: "d", began_s: 400 }), { ...EVERY_EVENT, kind: "offline" }))).toEqual(["c", "a"]);
    expect(ids(withEvent(list, event({ id: "c", began_s: 300, ended_s: 310 }), { ...EVERY_EVENT, open: true }))).toEqual(["a"]);
  });
});

describe("the history", () => {
  const score = (atS: number, mean: number | null, state: "real" | "fake" | "no_face" = "real") => ({
    atS,
    low: mean,
    mean,
    high: mean,
    state,
  });

  it("has gaps where steps are missing", () => {
    const lines = scoreLines({ stepS: 60, items: [score(0, 0.1), score(60, 0.2), score(240, 0.3)] });
    expect(lines.atS).toEqual([0, 60, 120, 240]);
    expect(lines.mean).toEqual([0.1, 0.2, null, 0.3]);
  });

  it("has states from the start of the period to its end", () => {
    const states: readonly StateEntry[] = [
      { atS: 0, state: "live", reason: "" },
      { atS: 150, state: "stalled", reason: "" },
    ];
    expect(stateSpans(states, 100, 200).map(({ fromS, toS, state }) => [fromS, toS, state])).toEqual([
      [100, 150, "live"],
      [150, 200, "stalled"],
    ]);
  });

  it("has the mean, the highest and the worst of each twelfth, newest first", () => {
    const rows = scoreRows({ stepS: 1, items: [score(0, 0.2), score(1, 0.4, "fake"), score(119, 0.1)] }, 0, 120);
    expect(rows).toHaveLength(12);
    expect(rows[0]).toMatchObject({ fromS: 110, toS: 120, mean: 0.1, state: "real" });
    expect(rows[11]?.mean).toBeCloseTo(0.3);
    expect(rows[11]).toMatchObject({ high: 0.4, state: "fake" });
    expect(rows[5]).toMatchObject({ mean: null, state: null });
  });

  it("formats durations and local times", () => {
    expect([span(48), span(725), span(12_000), span(187_200)]).toEqual(["48 s", "12 min 5 s", "3 h 20 min", "2 d 4 h"]);
    expect(fromLocalInput(localInput(1795300020))).toBe(1795300020);
    expect(fromLocalInput("")).toBeNull();
  });
});
