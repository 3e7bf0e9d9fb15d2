/** Cameras and their history: parses the server's JSON (docs/protocol.md, "Cameras"). */

import { VERDICT_STATES, type VerdictState } from "./messages";
import { listOf, number, object, oneOf, orNull, share, ShapeError, type Read } from "./shape";
import { body, type Wire } from "./wire";

export const TRANSPORTS = ["tcp", "udp"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** A day of minutes is 1,440, an hour of seconds 3,600. */
const MOST_SCORES = 20_000;

/** The password in `url` is replaced by `***`. */
export type CameraSettings = Wire<"ShownSettings">;
export type Camera = Wire<"CameraBody">;
export type CameraState = Camera["state"];
export type TestedConnection = Wire<"ConnectionBody">;
export type StateEntry = Wire<"StateBody">;

/** The values of the form; `url` null keeps the camera's address. */
export interface CameraForm extends Omit<CameraSettings, "url"> {
  readonly name: string;
  readonly title: string;
  readonly enabled: boolean;
  readonly url: string | null;
}

/** Fake probability of the window over one step: lowest, mean and highest, in [0, 1]; null if there was none. */
export interface Score {
  readonly atS: number;
  readonly low: number | null;
  readonly mean: number | null;
  readonly high: number | null;
  readonly state: VerdictState;
}

export interface Scores {
  readonly stepS: number;
  readonly items: readonly Score[];
}

export function wireForm(form: CameraForm): Record<string, unknown> {
  return {
    name: form.name,
    title: form.title,
    enabled: form.enabled,
    ...(form.url === null ? {} : { url: form.url }),
    transport: form.transport,
    loop: form.loop,
    rate_hz: form.rateHz,
    keyframes_only_when_idle: form.keyframesOnlyWhenIdle,
    evidence: form.evidence,
    ...(form.node === "" ? {} : { node: form.node }),
  };
}

export const readCamera = body("CameraBody");

export const readCameras: Read<readonly Camera[]> = (value, where) => body("CamerasBody")(value, where).items;

export const readStates: Read<readonly StateEntry[]> = (value, where) => body("StatesBody")(value, where).items;

export const readTested: Read<TestedConnection> = (value, where) => {
  const tested = body("ConnectionBody")(value, where);
  if (tested.picture?.startsWith("data:image/") === false) throw new ShapeError(`${where}.picture: expected a picture as a data URL`);
  return tested;
};

/** `[at_s, low, mean, high, state]` */
const readScore: Read<Score> = (value, where) => {
  const [atS, low, mean, high, state] = listOf((entry) => entry, 5)(value, where);
  return {
    atS: number(atS, `${where}[0]`),
    low: orNull(share)(low, `${where}[1]`),
    mean: orNull(share)(mean, `${where}[2]`),
    high: orNull(share)(high, `${where}[3]`),
    state: oneOf(VERDICT_STATES)(state, `${where}[4]`),
  };
};

export const readScores: Read<Scores> = (value, where) => {
  const from = object(value, where);
  return {
    stepS: number(from.step_s, `${where}.step_s`),
    items: listOf(readScore, MOST_SCORES)(from.items, `${where}.items`),
  };
};
