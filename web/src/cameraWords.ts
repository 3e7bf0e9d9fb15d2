/** Texts about cameras and events: a word and a sentence for each state. Pure. */

import type { Camera, CameraState } from "./stream/cameras";
import type { FeedState } from "./stream/eventFeed";
import type { CameraEvent } from "./stream/events";
import type { SeenCamera } from "./stream/fleet";
import type { ResultsSnapshot } from "./stream/cameraResults";
import { span } from "./times";
import { asSentence, sentence, WORDS, type ShownState, type ShownVerdict } from "./words";

export const CAMERA_WORDS: Readonly<Record<CameraState, string>> = {
  connecting: "Connecting",
  live: "Live",
  stalled: "Stalled",
  backing_off: "Reconnecting",
  refused: "Refused",
  stopped: "Stopped",
  lost_node: "Lost node",
};

/** A live camera reports every second; a verdict older than this is out of date. */
const STALE_MS = 5_000;

export interface ShownCamera {
  /** The state that its badge shows. */
  readonly state: ShownState;
  readonly word: string;
  /** The camera's own state and reason: "Live: 25 fps". */
  readonly reason: string;
  /** Whether its picture is current. */
  readonly fresh: boolean;
}

export function titleOf(camera: Pick<Camera, "title" | "name">): string {
  return camera.title === "" ? camera.name : camera.title;
}

export function stateSentence(camera: Pick<Camera, "state" | "reason">): string {
  const word = CAMERA_WORDS[camera.state];
  if (camera.reason === "") return word;
  return camera.reason.toLowerCase().startsWith(word.toLowerCase()) ? asSentence(camera.reason) : `${word}: ${camera.reason}`;
}

export function shownCamera({ camera, atMs }: SeenCamera, feed: FeedState, nowMs: number): ShownCamera {
  const reason = stateSentence(camera);
  if (feed !== "open") return { state: "stale", word: WORDS.stale, reason: `Not connected to the server; last: ${reason}`, fresh: false };
  if (camera.state === "stopped") return { state: "idle", word: CAMERA_WORDS.stopped, reason, fresh: false };
  if (camera.state !== "live") return { state: "offline", word: CAMERA_WORDS[camera.state], reason, fresh: false };
  const { verdict } = camera;
  if (verdict === null) return { state: "gathering", word: WORDS.gathering, reason, fresh: true };
  const stale = verdict.ageS * 1000 + (nowMs - atMs) > STALE_MS;
  return stale
    ? { state: "stale", word: WORDS.stale, reason: `${reason}; no new result`, fresh: false }
    : { state: verdict.state, word: WORDS[verdict.state], reason: withFeed(reason, verdict.feedReason), fresh: true };
}

/** "Live: 25 fps; the picture repeats every 19 s" */
function withFeed(reason: string, feedReason: string): string {
  return feedReason === "" ? reason : `${reason}; ${feedReason}`;
}

/** The verdict panel of a camera's own page. */
export function cameraVerdict(camera: Camera, { feed, result, stale }: ResultsSnapshot): ShownVerdict {
  const evidence = { fakeProbability: null, admitted: 0, needed: null };
  if (camera.state !== "live") {
    return {
      state: camera.state === "stopped" ? "idle" : "offline",
      word: CAMERA_WORDS[camera.state],
      reason: stateSentence(camera),
      ...evidence,
    };
  }
  if (result === null) {
    const waits = feed === "open" ? "waiting for the first result" : "connecting to the server";
    return { state: "gathering", reason: sentence("gathering", waits), ...evidence };
  }
  if (stale)
    return {
      state: "stale",
      reason: sentence("stale", `no new result; the last one was "${WORDS[result.state].toLowerCase()}"`),
      ...evidence,
    };
  if (result.error !== null) return { state: "unavailable", reason: sentence("unavailable", result.error), ...evidence };
  const { fakeProbability, admitted, needed } = result;
  return { state: result.state, reason: sentence(result.state, result.reason), fakeProbability, admitted, needed };
}

/** "Ongoing for 2 min", "Lasted 48 s", "Lasted at least 48 s: the server stopped during it" */
export function lasted(event: CameraEvent, nowS: number): string {
  if (event.endedS === null) return `Ongoing for ${span(nowS - event.beganS)}`;
  const length = span(event.endedS - event.beganS);
  return event.interrupted ? `Lasted at least ${length}: the server stopped during it` : `Lasted ${length}`;
}

/** The badge of an event shows its kind: a fake face, a frozen or looped feed, or a camera without video. */
export function eventState(event: Pick<CameraEvent, "kind">): ShownState {
  return event.kind;
}
