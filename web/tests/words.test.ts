import { describe, expect, it } from "vitest";
import { CheckStream, type StreamSnapshot } from "../src/stream/checkStream";
import { FAILURE_CODES, StreamFailure } from "../src/stream/failure";
import { parseMessage, type CheckResult } from "../src/stream/messages";
import { browserOf, failureWords, sentence, shownVerdict, WORDS } from "../src/words";
import { stage, wireResult } from "./fakes";

const IDLE = new CheckStream(stage().environment).snapshot();

function result(change: Record<string, unknown>): CheckResult {
  const message = parseMessage(JSON.stringify({ type: "result", value: wireResult(change) }));
  if (message?.type !== "result") throw new Error("expected a result");
  return message.value;
}

describe("shownVerdict", () => {
  const live: StreamSnapshot = { ...IDLE, state: "live" };
  it.each([
    [
      "nothing runs",
      IDLE,
      "idle",
      "After a few seconds you see Real, Fake or Uncertain. It is a hint, not proof: it can be wrong in either direction.",
    ],
    ["no result has come", live, "gathering", "Gathering: waiting for the first result"],
    [
      "evidence is gathered",
      { ...live, result: result({ state: "gathering", reason: "5 of 12 usable frames", fake_probability: null }) },
      "gathering",
      "Gathering: 5 of 12 usable frames",
    ],
    [
      "a verdict stands",
      { ...live, result: result({ state: "uncertain", reason: "scores disagree" }) },
      "uncertain",
      "Uncertain: scores disagree",
    ],
    [
      "the server says the word itself",
      { ...live, result: result({ state: "no_face", reason: "no face larger than 64 px" }) },
      "no_face",
      "No face larger than 64 px",
    ],
    ["results stopped coming", { ...live, stale: true, result: result({}) }, "stale", 'Stale: no new result; the last one was "real"'],
    [
      "the analysis is broken",
      { ...live, result: result({ error: "analysis unavailable: no detector" }) },
      "unavailable",
      "Unavailable: analysis unavailable: no detector",
    ],
    [
      "the connection is being made again",
      { ...live, state: "reconnecting", stale: true, result: result({}) },
      "stale",
      'Stale: no new result; the last one was "real"',
    ],
  ] as const)("when %s", (_, snapshot, state, reason) => {
    expect(shownVerdict(snapshot)).toMatchObject({ state, reason });
  });

  it("gives no outdated probability", () => {
    expect(shownVerdict({ ...live, stale: true, result: result({}) }).fakeProbability).toBeNull();
    expect(shownVerdict({ ...live, result: result({ error: "broken" }) }).fakeProbability).toBeNull();
    expect(shownVerdict({ ...live, result: result({}) }).fakeProbability).toBe(0.08);
  });
});

describe("wording", () => {
  it("never overclaims", () => {
    const failures = FAILURE_CODES.map((code) => failureWords(new StreamFailure(code, "x"), "camera", "chrome"));
    expect(JSON.stringify([WORDS, failures])).not.toMatch(/verified|100 ?%|authentic|guarantee/i);
  });

  it("does not repeat the word", () => {
    expect(sentence("fake", "fake over 20 usable frames")).toBe("Fake over 20 usable frames");
  });

  it.each([
    [
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
      "chrome",
      /icon left of the address/,
    ],
    ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "firefox", /crossed-out camera/],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
      "safari",
      /Settings for This Website/,
    ],
    ["curl/8", "other", /permissions/],
  ] as const)("explains how to allow the camera in %s", (agent, browser, step) => {
    expect(browserOf(agent)).toBe(browser);
    expect(failureWords(new StreamFailure("permission-denied", ""), "camera", browser).steps[0]).toMatch(step);
  });

  it.each(["all 4 sessions are in use; try again later", "the server is shutting down; try again when it is back"])(
    "gives the server's reason for having no place: %s",
    (reason) => {
      const { text } = failureWords(new StreamFailure("server-full", reason, 5), "camera", "chrome");
      expect(text.toLowerCase()).toBe(`${reason}.`);
    },
  );

  it("refers to sharing if a screen was to be shared", () => {
    expect(failureWords(new StreamFailure("permission-denied", ""), "screen", "chrome")).toMatchObject({
      title: "Nothing was shared",
      steps: [],
    });
  });
});
