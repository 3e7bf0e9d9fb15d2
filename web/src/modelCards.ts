/** The answer of GET /api/models: the cards of all bundles (stream_detect/models/card.py), checked and typed. */

import { readThresholds, type Thresholds } from "./stream/messages";
import { listOf, number, object, orNull, share, text, type Read } from "./stream/shape";

export interface Metric {
  readonly name: string;
  readonly value: number;
  /** Ends of the 95 % interval, if it was measured. */
  readonly low: number | null;
  readonly high: number | null;
  readonly data: string;
  /** Number of faces, clips or seconds. */
  readonly n: number | null;
  /** Fake probability from which a face was counted as fake. */
  readonly threshold: number | null;
}

export interface ModelCard {
  readonly name: string;
  readonly title: string;
  readonly version: string | null;
  readonly architecture: string;
  readonly training: {
    readonly data: string;
    readonly terms: string;
    readonly recipe: string | null;
    readonly neverShown: readonly string[];
  } | null;
  readonly calibratedOn: string | null;
  readonly thresholds: Thresholds | null;
  readonly limits: readonly string[];
  readonly metrics: readonly Metric[];
  readonly files: readonly { readonly file: string; readonly sha256: string }[];
}

export interface ModelList {
  readonly judging: string;
  readonly models: readonly ModelCard[];
}

/** Several figures of each kind of fakes and each generator: a card of the server has some 100. */
const MOST_METRICS = 4_096;

export const readModels: Read<ModelList> = (value, where) => {
  const from = object(value, where);
  return { judging: text(from.judging, `${where}.judging`), models: listOf(readCard, 256)(from.models, `${where}.models`) };
};

/** Optional parts of a card are null or empty, so that older bundles can be shown. */
const readCard: Read<ModelCard> = (value, where) => {
  const from = object(value, where);
  const calibration = orNull(object)(from.calibration, `${where}.calibration`);
  const files = orNull(object)(from.sha256, `${where}.sha256`) ?? {};
  return {
    name: text(from.name, `${where}.name`),
    title: text(from.title, `${where}.title`),
    version: orNull(text)(from.version, `${where}.version`),
    architecture: text(from.architecture, `${where}.architecture`),
    training: orNull(readTraining)(from.training, `${where}.training`),
    calibratedOn: orNull(text)(calibration?.fitted_on, `${where}.calibration.fitted_on`),
    thresholds: orNull(readThresholds)(from.thresholds, `${where}.thresholds`),
    limits: orNull(listOf(text, 64))(from.limits, `${where}.limits`) ?? [],
    metrics: orNull(listOf(readMetric, MOST_METRICS))(from.metrics, `${where}.metrics`) ?? [],
    files: Object.entries(files).map(([file, sha256]) => ({ file, sha256: text(sha256, `${where}.sha256.${file}`) })),
  };
};

const readTraining: Read<NonNullable<ModelCard["training"]>> = (value, where) => {
  const from = object(value, where);
  return {
    data: text(from.data, `${where}.data`),
    terms: text(from.terms, `${where}.terms`),
    recipe: orNull(text)(from.recipe, `${where}.recipe`),
    neverShown: orNull(listOf(text, 64))(from.never_shown, `${where}.never_shown`) ?? [],
  };
};

const readMetric: Read<Metric> = (value, where) => {
  const from = object(value, where);
  return {
    name: text(from.name, `${where}.name`),
    value: number(from.value, `${where}.value`),
    low: orNull(number)(from.low, `${where}.low`),
    high: orNull(number)(from.high, `${where}.high`),
    data: text(from.data, `${where}.data`),
    n: orNull(number)(from.n, `${where}.n`),
    threshold: orNull(share)(from.threshold, `${where}.threshold`),
  };
};
