/** Parses the messages of the data channel (docs/protocol.md); `null` for an unknown type, which the protocol says to ignore. */

import { listOf, number, object, oneOf, orNull, share, text, type Read } from "./shape";
import { body, type Wire } from "./wire";

export const VERDICT_STATES = ["no_face", "gathering", "real", "uncertain", "fake"] as const;
export type VerdictState = (typeof VERDICT_STATES)[number];

/** State of the feed: a frozen one does not change, a looped one repeats the same seconds. */
export const FEED_STATES = ["live", "frozen", "looped"] as const;
export type FeedMotion = (typeof FEED_STATES)[number];

/** Hysteresis of the verdict on the window's fake probability, each in [0, 1]. */
export interface Thresholds {
  readonly fakeEnter: number;
  readonly fakeLeave: number;
  readonly realEnter: number;
  readonly realLeave: number;
}

export interface Hello {
  readonly session: string;
  readonly model: { readonly name: string; readonly title: string; readonly sha256: string };
  readonly thresholds: Thresholds;
  readonly windowS: number;
  readonly needed: number;
  /** The virtual camera program that the camera's name suggests: a hint. null if it suggests none. */
  readonly virtualCamera: string | null;
}

/** Random movements that a person has to make; left and right are the person's own. */
export type Challenge = Wire<"ChallengeBody">;
export type Movement = Challenge["prompts"][number];

interface Judged {
  readonly state: VerdictState;
  readonly reason: string;
  /** Of the window, in [0, 1], 1 = fake; null without enough evidence. */
  readonly fakeProbability: number | null;
  readonly admitted: number;
  readonly needed: number;
}

export interface FaceResult extends Judged {
  readonly track: number;
  /** left, top, right, bottom in pixels of the frame */
  readonly box: readonly number[];
  /** Of this sample, in [0, 1], 1 = fake; null if it was not scored. */
  readonly score: number | null;
  readonly rejected: string | null;
}

export interface CheckResult extends Judged {
  readonly sequence: number;
  readonly timeS: number;
  readonly width: number;
  readonly height: number;
  readonly faces: readonly FaceResult[];
  readonly latencyMs: number;
  readonly dropped: { readonly samples: number; readonly frames: number };
  readonly error: string | null;
  readonly feed: FeedMotion;
  /** A sentence; empty while it is live. */
  readonly feedReason: string;
  /** The newest one; null if there was none, or it was cleared. */
  readonly challenge: Challenge | null;
}

export type ServerMessage =
  | { readonly type: "hello"; readonly value: Hello }
  | { readonly type: "result"; readonly value: CheckResult }
  | { readonly type: "pong"; readonly value: { readonly id: number } }
  | { readonly type: "bye"; readonly value: { readonly reason: string } };

/**
 * @throws {SyntaxError} when the text is not JSON
 * @throws {ShapeError} when a message of a known type does not follow the protocol
 */
export function parseMessage(data: string): ServerMessage | null {
  const envelope = object(JSON.parse(data), "message");
  switch (envelope.type) {
    case "hello":
      return { type: "hello", value: readHello(envelope.value, "hello") };
    case "result":
      return { type: "result", value: readResult(envelope.value, "result") };
    case "pong":
      return { type: "pong", value: { id: number(object(envelope.value, "pong").id, "pong.id") } };
    case "bye":
      return { type: "bye", value: { reason: text(object(envelope.value, "bye").reason, "bye.reason") } };
    default:
      return null;
  }
}

export function pingMessage(id: number): string {
  return JSON.stringify({ type: "ping", value: { id } });
}

export type ChallengeAction = "start" | "stop";

export function challengeMessage(action: ChallengeAction): string {
  return JSON.stringify({ type: "challenge", value: { action } });
}

export const readThresholds: Read<Thresholds> = (value, where) => {
  const from = object(value, where);
  return {
    fakeEnter: share(from.fake_enter, `${where}.fake_enter`),
    fakeLeave: share(from.fake_leave, `${where}.fake_leave`),
    realEnter: share(from.real_enter, `${where}.real_enter`),
    realLeave: share(from.real_leave, `${where}.real_leave`),
  };
};

const readChallenge = body("ChallengeBody");

const readHello: Read<Hello> = (value, where) => {
  const from = object(value, where);
  const model = object(from.model, `${where}.model`);
  return {
    session: text(from.session, `${where}.session`),
    model: {
      name: text(model.name, `${where}.model.name`),
      title: text(model.title, `${where}.model.title`),
      sha256: text(model.sha256, `${where}.model.sha256`),
    },
    thresholds: readThresholds(from.thresholds, `${where}.thresholds`),
    windowS: number(from.window_s, `${where}.window_s`),
    needed: number(from.needed, `${where}.needed`),
    virtualCamera: orNull(text)(from.virtual_camera, `${where}.virtual_camera`),
  };
};

function readJudged(from: Record<string, unknown>, where: string): Judged {
  return {
    state: oneOf(VERDICT_STATES)(from.state, `${where}.state`),
    reason: text(from.reason, `${where}.reason`),
    fakeProbability: orNull(share)(from.fake_probability, `${where}.fake_probability`),
    admitted: number(from.admitted, `${where}.admitted`),
    needed: number(from.needed, `${where}.needed`),
  };
}

const readFace: Read<FaceResult> = (value, where) => {
  const from = object(value, where);
  return {
    ...readJudged(from, where),
    track: number(from.track, `${where}.track`),
    box: listOf(number, 4)(from.box, `${where}.box`),
    score: orNull(share)(from.score, `${where}.score`),
    rejected: orNull(text)(from.rejected, `${where}.rejected`),
  };
};

export const readResult: Read<CheckResult> = (value, where) => {
  const from = object(value, where);
  const dropped = object(from.dropped, `${where}.dropped`);
  return {
    ...readJudged(from, where),
    sequence: number(from.sequence, `${where}.sequence`),
    timeS: number(from.time_s, `${where}.time_s`),
    width: number(from.width, `${where}.width`),
    height: number(from.height, `${where}.height`),
    faces: listOf(readFace, 64)(from.faces, `${where}.faces`),
    latencyMs: number(from.latency_ms, `${where}.latency_ms`),
    dropped: {
      samples: number(dropped.samples, `${where}.dropped.samples`),
      frames: number(dropped.frames, `${where}.dropped.frames`),
    },
    error: orNull(text)(from.error, `${where}.error`),
    feed: oneOf(FEED_STATES)(from.feed, `${where}.feed`),
    feedReason: text(from.feed_reason, `${where}.feed_reason`),
    challenge: orNull(readChallenge)(from.challenge, `${where}.challenge`),
  };
};
