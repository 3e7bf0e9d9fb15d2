/** Analyses of uploads, as the server tells of them (docs/protocol.md, "Analyses of uploads"). JSON enters, typed values leave. */

import { listOf, number, object, oneOf, orNull, share, text, type Read } from "./shape";

export const ANALYSIS_STATES = ["queued", "fetching", "running", "done", "failed", "cancelled"] as const;
export type AnalysisState = (typeof ANALYSIS_STATES)[number];

export const VERDICTS = ["fake", "uncertain", "real", "no_face"] as const;
export type OverallVerdict = (typeof VERDICTS)[number];

const ENDED: ReadonlySet<AnalysisState> = new Set(["done", "failed", "cancelled"]);
export interface UploadedFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  /** null until it was looked at; likewise the others, which a picture does not have */
  readonly kind: "image" | "video" | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly durationS: number | null;
  readonly fps: number | null;
  readonly codec: string | null;
}

export interface Analysis {
  readonly id: string;
  readonly state: AnalysisState;
  /** why it failed, in a sentence; empty otherwise */
  readonly problem: string;
  readonly createdS: number;
  readonly startedS: number | null;
  readonly endedS: number | null;
  readonly doneShare: number;
  readonly etaS: number | null;
  readonly file: UploadedFile;
  readonly models: readonly { readonly name: string; readonly sha256: string }[];
  readonly rateHz: number;
  /** the worst over its models; null until done */
  readonly verdict: OverallVerdict | null;
  /** id of the earlier analysis of the same bytes whose results these are */
  readonly sameAs: string | null;
}

export interface AnalysisPage {
  readonly items: readonly Analysis[];
  /** Cursor of the older ones; null at the end. */
  readonly next: string | null;
}

/** What a list shows; empty or null does not restrict. */
export interface AnalysisFilter {
  readonly search: string;
  readonly state: AnalysisState | null;
}

export const EVERY_ANALYSIS: AnalysisFilter = { search: "", state: null };

/** The annotated video or picture of one model. */
export interface Annotated {
  /** none: nobody has asked for it */
  readonly state: "none" | "queued" | "running" | "done" | "failed";
  readonly doneShare: number;
  readonly problem: string;
}

export const NOT_ANNOTATED: Annotated = { state: "none", doneShare: 0, problem: "" };

export function hasEnded({ state }: Pick<Analysis, "state">): boolean {
  return ENDED.has(state);
}

/** The filter as a query, in the server's words; the page's own address uses the same. */
export function analysisQuery({ search, state }: AnalysisFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (search !== "") query.set("search", search);
  if (state !== null) query.set("state", state);
  return query;
}

/** The other way round; what makes no sense restricts nothing. */
export function readAnalysisFilter(query: URLSearchParams): AnalysisFilter {
  return { search: query.get("search") ?? "", state: ANALYSIS_STATES.find((state) => state === query.get("state")) ?? null };
}

function matches({ file, state }: Analysis, filter: AnalysisFilter): boolean {
  const found = file.name.toLowerCase().includes(filter.search.toLowerCase());
  return found && (filter.state === null || state === filter.state);
}

/** A list, newest first, after an analysis came, went on or ended: it takes its place, or leaves it. */
export function withAnalysis(items: readonly Analysis[], analysis: Analysis, filter: AnalysisFilter): readonly Analysis[] {
  const place = items.findIndex(({ id }) => id === analysis.id);
  if (!matches(analysis, filter)) return place < 0 ? items : items.toSpliced(place, 1);
  if (place >= 0) return items.with(place, analysis);
  const after = items.findIndex(({ createdS, id }) => createdS < analysis.createdS || (createdS === analysis.createdS && id < analysis.id));
  return items.toSpliced(after < 0 ? items.length : after, 0, analysis);
}

/** Which analyses of a list to follow: those that run, and where none does, the one that is next. */
export function followed(items: readonly Analysis[], most: number): readonly string[] {
  const going = items.filter((analysis) => !hasEnded(analysis) && analysis.state !== "queued");
  const next = items.findLast(({ state }) => state === "queued");
  const chosen = going.length > 0 || next === undefined ? going : [next];
  return chosen.slice(0, most).map(({ id }) => id);
}

/** 0 stands for what is not known yet. */
const known: Read<number | null> = (value, where) => {
  const read = orNull(number)(value, where);
  return read === 0 ? null : read;
};

/** An empty text stands for none. */
const written: Read<string | null> = (value, where) => {
  const read = orNull(text)(value, where);
  return read === "" ? null : read;
};

export const readFile: Read<UploadedFile> = (value, where) => {
  const from = object(value, where);
  const kind = orNull(text)(from.kind, `${where}.kind`) ?? "";
  return {
    name: text(from.name, `${where}.name`),
    bytes: number(from.bytes, `${where}.bytes`),
    sha256: text(from.sha256, `${where}.sha256`),
    kind: kind === "" ? null : oneOf(["image", "video"])(kind, `${where}.kind`),
    width: known(from.width, `${where}.width`),
    height: known(from.height, `${where}.height`),
    durationS: known(from.duration_s, `${where}.duration_s`),
    fps: known(from.fps, `${where}.fps`),
    codec: written(from.codec, `${where}.codec`),
  };
};

const readModelName: Read<Analysis["models"][number]> = (value, where) => {
  const from = object(value, where);
  return { name: text(from.name, `${where}.name`), sha256: text(from.sha256, `${where}.sha256`) };
};

export const readAnalysis: Read<Analysis> = (value, where) => {
  const from = object(value, where);
  return {
    id: text(from.id, `${where}.id`),
    state: oneOf(ANALYSIS_STATES)(from.state, `${where}.state`),
    problem: orNull(text)(from.problem, `${where}.problem`) ?? "",
    createdS: number(from.created_s, `${where}.created_s`),
    startedS: orNull(number)(from.started_s, `${where}.started_s`),
    endedS: orNull(number)(from.ended_s, `${where}.ended_s`),
    doneShare: share(from.done_share, `${where}.done_share`),
    etaS: orNull(number)(from.eta_s, `${where}.eta_s`),
    file: readFile(from.file, `${where}.file`),
    models: listOf(readModelName, 64)(from.models, `${where}.models`),
    rateHz: number(from.rate_hz, `${where}.rate_hz`),
    verdict: orNull(oneOf(VERDICTS))(written(from.verdict, `${where}.verdict`), `${where}.verdict`),
    sameAs: written(from.same_as, `${where}.same_as`),
  };
};

export const readAnalyses: Read<AnalysisPage> = (value, where) => {
  const from = object(value, where);
  return { items: listOf(readAnalysis, 500)(from.items, `${where}.items`), next: orNull(text)(from.next, `${where}.next`) };
};

export const readSubmitted: Read<readonly Analysis[]> = (value, where) =>
  listOf(readAnalysis, 1000)(object(value, where).items, `${where}.items`);

export const readAnnotated: Read<Annotated> = (value, where) => {
  const from = object(value, where);
  return {
    state: oneOf(["none", "queued", "running", "done", "failed"])(from.state, `${where}.state`),
    doneShare: orNull(share)(from.done_share, `${where}.done_share`) ?? 0,
    problem: orNull(text)(from.problem, `${where}.problem`) ?? "",
  };
};
