/** Cameras and their past, as the server tells of them (docs/protocol.md, "Cameras"). JSON enters, typed values leave. */

import { FEED_STATES, VERDICT_STATES, type FeedMotion, type VerdictState } from "./messages";
import { flag, listOf, number, object, oneOf, orNull, ShapeError, share, text, type Read } from "./shape";

export const CAMERA_STATES = ["connecting", "live", "stalled", "backing_off", "refused", "stopped"] as const;
export type CameraState = (typeof CAMERA_STATES)[number];

export const TRANSPORTS = ["tcp", "udp"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** A day of minutes is 1,440, an hour of seconds 3,600. */
const MOST_SCORES = 20_000;
const MOST_STATES = 20_000;
const MOST_CAMERAS = 4_096;

export interface CameraSettings {
  /** Its password reads `***`. */
  readonly url: string;
  readonly transport: Transport;
  readonly loop: boolean;
  readonly rateHz: number;
  readonly keyframesOnlyWhenIdle: boolean;
  readonly evidence: boolean;
}

export interface Camera {
  readonly name: string;
  readonly title: string;
  /** file: the settings file names it, and only there it can be changed */
  readonly origin: "file" | "api";
  readonly enabled: boolean;
  readonly settings: CameraSettings;
  readonly state: CameraState;
  readonly reason: string;
  readonly sinceS: number;
  readonly retryAtS: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly codec: string;
  readonly fps: number;
  readonly viewers: number;
  readonly counts: {
    readonly pictures: number;
    readonly analysed: number;
    readonly droppedSamples: number;
    readonly decodeErrors: number;
    readonly reconnects: number;
    readonly receivedBytes: number;
  };
  readonly verdict: {
    readonly state: VerdictState;
    readonly reason: string;
    readonly fakeProbability: number | null;
    readonly faces: number;
    readonly ageS: number;
    readonly feed: FeedMotion;
    readonly feedReason: string;
  } | null;
}

/** What a person fills in; `url` null keeps the one that the camera has. */
export interface CameraForm extends Omit<CameraSettings, "url"> {
  readonly name: string;
  readonly title: string;
  readonly enabled: boolean;
  readonly url: string | null;
}

export interface TestedConnection {
  readonly ok: boolean;
  readonly detail: string;
  readonly codec: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly fps: number | null;
  /** a small JPEG as a data URL */
  readonly picture: string | null;
}

/** The window's fake probability over one step: least, mean and highest, in [0, 1]; null when there was none. */
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

export interface StateEntry {
  readonly atS: number;
  readonly state: CameraState;
  readonly reason: string;
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
  };
}

const readSettings: Read<CameraSettings> = (value, where) => {
  const from = object(value, where);
  return {
    url: text(from.url, `${where}.url`),
    transport: oneOf(TRANSPORTS)(from.transport, `${where}.transport`),
    loop: flag(from.loop, `${where}.loop`),
    rateHz: number(from.rate_hz, `${where}.rate_hz`),
    keyframesOnlyWhenIdle: flag(from.keyframes_only_when_idle, `${where}.keyframes_only_when_idle`),
    evidence: flag(from.evidence, `${where}.evidence`),
  };
};

const readVerdict: Read<NonNullable<Camera["verdict"]>> = (value, where) => {
  const from = object(value, where);
  return {
    state: oneOf(VERDICT_STATES)(from.state, `${where}.state`),
    reason: text(from.reason, `${where}.reason`),
    fakeProbability: orNull(share)(from.fake_probability, `${where}.fake_probability`),
    faces: number(from.faces, `${where}.faces`),
    ageS: number(from.age_s, `${where}.age_s`),
    feed: oneOf(FEED_STATES)(from.feed, `${where}.feed`),
    feedReason: text(from.feed_reason, `${where}.feed_reason`),
  };
};

const readCounts: Read<Camera["counts"]> = (value, where) => {
  const from = object(value, where);
  return {
    pictures: number(from.pictures, `${where}.pictures`),
    analysed: number(from.analysed, `${where}.analysed`),
    droppedSamples: number(from.dropped_samples, `${where}.dropped_samples`),
    decodeErrors: number(from.decode_errors, `${where}.decode_errors`),
    reconnects: number(from.reconnects, `${where}.reconnects`),
    receivedBytes: number(from.received_bytes, `${where}.received_bytes`),
  };
};

export const readCamera: Read<Camera> = (value, where) => {
  const from = object(value, where);
  return {
    name: text(from.name, `${where}.name`),
    title: text(from.title, `${where}.title`),
    origin: oneOf(["file", "api"])(from.origin, `${where}.origin`),
    enabled: flag(from.enabled, `${where}.enabled`),
    settings: readSettings(from.settings, `${where}.settings`),
    state: oneOf(CAMERA_STATES)(from.state, `${where}.state`),
    reason: text(from.reason, `${where}.reason`),
    sinceS: number(from.since_s, `${where}.since_s`),
    retryAtS: orNull(number)(from.retry_at_s, `${where}.retry_at_s`),
    width: orNull(number)(from.width, `${where}.width`),
    height: orNull(number)(from.height, `${where}.height`),
    codec: orNull(text)(from.codec, `${where}.codec`) ?? "",
    fps: orNull(number)(from.fps, `${where}.fps`) ?? 0,
    viewers: number(from.viewers, `${where}.viewers`),
    counts: readCounts(from.counts, `${where}.counts`),
    verdict: orNull(readVerdict)(from.verdict, `${where}.verdict`),
  };
};

export const readCameras: Read<readonly Camera[]> = (value, where) =>
  listOf(readCamera, MOST_CAMERAS)(object(value, where).items, `${where}.items`);

export const readTested: Read<TestedConnection> = (value, where) => {
  const from = object(value, where);
  const picture = orNull(text)(from.picture, `${where}.picture`);
  if (picture !== null && !picture.startsWith("data:image/")) throw new ShapeError(`${where}.picture: expected a picture as a data URL`);
  return {
    ok: flag(from.ok, `${where}.ok`),
    detail: text(from.detail, `${where}.detail`),
    codec: orNull(text)(from.codec, `${where}.codec`),
    width: orNull(number)(from.width, `${where}.width`),
    height: orNull(number)(from.height, `${where}.height`),
    fps: orNull(number)(from.fps, `${where}.fps`),
    picture,
  };
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

const readStateEntry: Read<StateEntry> = (value, where) => {
  const from = object(value, where);
  return {
    atS: number(from.at_s, `${where}.at_s`),
    state: oneOf(CAMERA_STATES)(from.state, `${where}.state`),
    reason: text(from.reason, `${where}.reason`),
  };
};

export const readStates: Read<readonly StateEntry[]> = (value, where) =>
  listOf(readStateEntry, MOST_STATES)(object(value, where).items, `${where}.items`);
