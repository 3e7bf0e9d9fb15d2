/** Texts about challenges: the prompts, and what an outcome does and does not show. Pure. */

import type { Challenge, Movement } from "./stream/messages";
import { asSentence } from "./words";

/** Who has to move: the person using this page, or another one in the video. */
export type Challenged = "self" | "other";

/** Left and right are those of the person who moves. */
export const PROMPTS: Readonly<Record<Movement, string>> = {
  turn_left: "Turn your head to your left",
  turn_right: "Turn your head to your right",
  look_up: "Look up",
  cover_mouth: "Cover your mouth with a hand",
  cover_eye: "Cover one eye with a hand",
  come_nearer: "Move closer to the camera",
};

const HOLD = "Look straight at the camera and hold still";

/** Shown in place of a prompt while there are no new results. */
export const WAITS = "No new result: the video or the connection has stopped. The time limits apply all the same.";

/** The current prompt; null if there is none. */
export function promptOf({ state, now }: Challenge): string | null {
  if (state !== "baseline" && state !== "running") return null;
  return now === null ? HOLD : PROMPTS[now.prompt];
}

const PASSED = "Passed: the video is live and not a recording. It shows no more than that: a swapped face can be live, too.";

/** The outcome; null while the challenge is running. */
export function outcomeOf({ state, reason }: Challenge): string | null {
  switch (state) {
    case "baseline":
    case "running":
      return null;
    case "passed":
      return PASSED;
    case "failed":
      return `Not passed: ${asSentence(reason ?? "the movements were not followed").replace(/^./, (first) => first.toLowerCase())} That alone does not make a face fake.`;
    case "stopped":
      return reason === null ? "Stopped." : `Stopped: ${reason.replace(/\.?$/, ".")}`;
  }
}

/** "followed in 1.3 s", "turned left instead", "not in time" */
export function answerWords({ followed, seen, tookS }: Challenge["done"][number]): string {
  if (followed) return tookS === null ? "followed" : `followed in ${tookS.toFixed(1)} s`;
  return seen === null ? "not in time" : `instead: ${PROMPTS[seen].toLowerCase()}`;
}
