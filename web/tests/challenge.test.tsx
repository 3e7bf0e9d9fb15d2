import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { answerWords, outcomeOf, promptOf, WAITS } from "../src/challengeWords";
import { ChallengePanel } from "../src/components/ChallengePanel";
import { challengeMessage, parseMessage, type Challenge } from "../src/stream/messages";
import { wireResult } from "./fakes";

const WIRE = {
  id: "9f",
  state: "running",
  reason: null,
  prompts: ["turn_left", "look_up"],
  now: { prompt: "look_up", number: 2, of: 4, seconds_left: 5.4 },
  done: [{ prompt: "turn_left", followed: true, seen: "turn_left", took_s: 1.34, score_mean: 0.61, score_max: 0.8 }],
  score_outside_mean: 0.1,
  score_outside_max: 0.2,
};

function challenge(change: Record<string, unknown> = {}): Challenge {
  const message = parseMessage(JSON.stringify({ type: "result", value: wireResult({ challenge: { ...WIRE, ...change } }) }));
  if (message?.type !== "result" || message.value.challenge === null) throw new Error("expected a result with a challenge");
  return message.value.challenge;
}

afterEach(cleanup);

describe("a challenge", () => {
  it("is requested in the same envelope as pings", () => {
    expect(JSON.parse(challengeMessage("start"))).toEqual({ type: "challenge", value: { action: "start" } });
  });

  it("with an unknown movement violates the protocol", () => {
    expect(() => challenge({ prompts: ["dance"] })).toThrow(/prompts\[0\]: expected one of/);
  });

  it.each([
    [{}, "Look up"],
    [{ now: null }, "Look straight at the camera and hold still"],
    [{ state: "baseline", now: null }, "Look straight at the camera and hold still"],
    [{ state: "passed", now: null }, null],
  ])("%o prompts %s", (change, prompt) => {
    expect(promptOf(challenge(change))).toBe(prompt);
  });

  it.each([
    [{}, null],
    [
      { state: "passed", now: null },
      "Passed: the video is live and not a recording. It shows no more than that: a swapped face can be live, too.",
    ],
    [
      { state: "failed", now: null, reason: "1 of 4 movements was not followed" },
      "Not passed: 1 of 4 movements was not followed. That alone does not make a face fake.",
    ],
    [{ state: "stopped", now: null, reason: "the person left" }, "Stopped: the person left."],
  ])("%o reads %s", (change, outcome) => {
    expect(outcomeOf(challenge(change))).toBe(outcome);
  });

  it("says how each prompt was followed", () => {
    const answer = challenge().done[0];
    if (answer === undefined) throw new Error("expected an answer");
    expect(answerWords(answer)).toBe("followed in 1.3 s");
    expect(answerWords({ ...answer, followed: false, seen: "turn_right" })).toBe("instead: turn your head to your right");
    expect(answerWords({ ...answer, followed: false, seen: null, tookS: null })).toBe("not in time");
  });
});

describe("ChallengePanel", () => {
  const shown = (of: Challenge | null, challenged: "self" | "other" = "self", stale = false) => {
    const onStart = vi.fn();
    const onStop = vi.fn();
    render(<ChallengePanel challenge={of} challenged={challenged} stale={stale} onStart={onStart} onStop={onStop} />);
    return { onStart, onStop };
  };

  it("says what it shows before it starts", () => {
    const { onStart } = shown(null);
    expect(screen.getByTestId("challenge").textContent).toContain("a challenge shows no more than that");
    fireEvent.click(screen.getByTestId("start-challenge"));
    expect(onStart).toHaveBeenCalledOnce();
  });

  it("prompts, counts down without announcing it, and can be stopped", () => {
    const { onStop } = shown(challenge());
    expect(screen.getByRole("status").textContent).toBe("Look up.");
    expect(screen.getByText("Movement 2 of 4, 6 s left").getAttribute("aria-hidden")).toBe("true");
    expect(screen.getByTestId("answer").textContent).toContain("followed in 1.3 sfake probability 0.61");
    fireEvent.click(screen.getByTestId("stop-challenge"));
    expect(onStop).toHaveBeenCalledOnce();
  });

  it("asks to read the prompts aloud to the other person in a call", () => {
    shown(challenge(), "other");
    expect(screen.getByRole("status").textContent).toBe("Read aloud:Look up.");
  });

  it("shows neither a prompt nor its time once the results are out of date", () => {
    shown(challenge(), "other", true);
    expect(screen.getByRole("status").textContent).toBe(WAITS);
    expect(screen.queryByText(/s left/)).toBeNull();
    cleanup();
    shown(challenge({ state: "stopped", now: null, reason: "the person left" }), "other", true);
    expect(screen.getByRole("status").textContent).toBe("Stopped: the person left.");
  });

  it("can be repeated or closed", () => {
    const { onStart, onStop } = shown(challenge({ state: "passed", now: null }));
    fireEvent.click(screen.getByText("Repeat"));
    fireEvent.click(screen.getByText("Close"));
    expect([onStart.mock.calls.length, onStop.mock.calls.length]).toEqual([1, 1]);
  });
});
