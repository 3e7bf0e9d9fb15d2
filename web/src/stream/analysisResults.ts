/** Results of an analysis: parses the server's JSON (docs/protocol.md, "Analyses of uploads"). */

import { readFile, type UploadedFile } from "./analyses";
import { readThresholds, VERDICT_STATES, type Thresholds, type VerdictState } from "./messages";
import { flag, listOf, number, object, oneOf, orNull, share, text, type Read } from "./shape";

/** Four hours at the highest rate of the settings. */
const MOST_FRAMES = 900_000;
const MOST_FACES = 4_096;

export interface SampledFace {
  readonly track: number;
  /** of this frame; null if its quality was too low */
  readonly score: number | null;
  /** of the window; null without enough evidence */
  readonly fakeProbability: number | null;
}

export interface SampledFrame {
  readonly timeS: number;
  readonly faces: readonly SampledFace[];
}

export interface FaceTrack {
  readonly track: number;
  readonly state: VerdictState;
  readonly reason: string;
  readonly fakeProbability: number | null;
  readonly fromS: number;
  readonly toS: number;
  readonly admitted: number;
  /** number of its faces that were not scored, by reason */
  readonly refused: readonly (readonly [why: string, count: number])[];
}

export interface FlaggedFrame {
  readonly n: number;
  readonly timeS: number;
  readonly track: number;
  readonly score: number;
  /** Whether there is a heat map of the face. */
  readonly map: boolean;
}

export interface ModelReview {
  readonly model: {
    readonly name: string;
    readonly title: string;
    readonly sha256: string;
    readonly terms: string;
    readonly limits: readonly string[];
    readonly thresholds: Thresholds;
  };
  readonly verdict: { readonly state: VerdictState; readonly reason: string; readonly fakeProbability: number | null };
  readonly tracks: readonly FaceTrack[];
  readonly frames: readonly SampledFrame[];
  readonly flagged: readonly FlaggedFrame[];
}

export interface Results {
  readonly id: string;
  readonly file: UploadedFile;
  readonly rateHz: number;
  readonly sampled: number;
  /** what was left out, one sentence each */
  readonly notes: readonly string[];
  readonly models: readonly ModelReview[];
}

const readSampledFace: Read<SampledFace> = (value, where) => {
  const from = object(value, where);
  return {
    track: number(from.track, `${where}.track`),
    score: orNull(share)(from.score, `${where}.score`),
    fakeProbability: orNull(share)(from.fake_probability, `${where}.fake_probability`),
  };
};

const readFrame: Read<SampledFrame> = (value, where) => {
  const from = object(value, where);
  return {
    timeS: number(from.time_s, `${where}.time_s`),
    faces: listOf(readSampledFace, MOST_FACES)(from.faces, `${where}.faces`),
  };
};

const readTrack: Read<FaceTrack> = (value, where) => {
  const from = object(value, where);
  const refused = Object.entries(object(from.refused, `${where}.refused`));
  return {
    track: number(from.track, `${where}.track`),
    state: oneOf(VERDICT_STATES)(from.state, `${where}.state`),
    reason: text(from.reason, `${where}.reason`),
    fakeProbability: orNull(share)(from.fake_probability, `${where}.fake_probability`),
    fromS: number(from.from_s, `${where}.from_s`),
    toS: number(from.to_s, `${where}.to_s`),
    admitted: number(from.admitted, `${where}.admitted`),
    refused: refused.map(([why, count]) => [why, number(count, `${where}.refused.${why}`)]),
  };
};

const readFlagged: Read<FlaggedFrame> = (value, where) => {
  const from = object(value, where);
  return {
    n: number(from.n, `${where}.n`),
    timeS: number(from.time_s, `${where}.time_s`),
    track: number(from.track, `${where}.track`),
    score: share(from.score, `${where}.score`),
    map: orNull(flag)(from.map, `${where}.map`) ?? true,
  };
};

const readReview: Read<ModelReview> = (value, where) => {
  const from = object(value, where);
  const model = object(from.model, `${where}.model`);
  const verdict = object(from.verdict, `${where}.verdict`);
  return {
    model: {
      name: text(model.name, `${where}.model.name`),
      title: text(model.title, `${where}.model.title`),
      sha256: text(model.sha256, `${where}.model.sha256`),
      terms: orNull(text)(model.terms, `${where}.model.terms`) ?? "",
      limits: listOf(text, 64)(model.limits, `${where}.model.limits`),
      thresholds: readThresholds(model.thresholds, `${where}.model.thresholds`),
    },
    verdict: {
      state: oneOf(VERDICT_STATES)(verdict.state, `${where}.verdict.state`),
      reason: text(verdict.reason, `${where}.verdict.reason`),
      fakeProbability: orNull(share)(verdict.fake_probability, `${where}.verdict.fake_probability`),
    },
    tracks: listOf(readTrack, MOST_FRAMES)(from.tracks, `${where}.tracks`),
    frames: listOf(readFrame, MOST_FRAMES)(from.frames, `${where}.frames`),
    flagged: listOf(readFlagged, 500)(from.flagged, `${where}.flagged`),
  };
};

export const readResults: Read<Results> = (value, where) => {
  const from = object(value, where);
  return {
    id: text(from.id, `${where}.id`),
    file: readFile(from.file, `${where}.file`),
    rateHz: number(from.rate_hz, `${where}.rate_hz`),
    sampled: number(from.sampled, `${where}.sampled`),
    notes: orNull(listOf(text, 1000))(from.notes, `${where}.notes`) ?? [],
    models: listOf(readReview, 64)(from.models, `${where}.models`),
  };
};
