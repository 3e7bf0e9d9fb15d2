/** Analyses of uploads: parses the server's JSON (docs/protocol.md, "Analyses of uploads"). */

import { listOf, object, orNull, text, type Read } from "./shape";
import { body, type Wire } from "./wire";

/** null: not examined yet, or not applicable to a picture. */
export interface UploadedFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly kind: "image" | "video" | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly durationS: number | null;
  readonly fps: number | null;
  readonly codec: string | null;
}

export interface Analysis extends Omit<Wire<"AnalysisBody">, "file"> {
  readonly file: UploadedFile;
}

export type AnalysisState = Analysis["state"];

/** The annotated video or picture of one model. */
export type Annotated = Wire<"AnnotationBody">;

export const ANALYSIS_STATES = ["queued", "fetching", "running", "done", "failed", "cancelled"] as const satisfies readonly AnalysisState[];

const ENDED: ReadonlySet<AnalysisState> = new Set(["done", "failed", "cancelled"]);

export interface AnalysisPage {
  readonly items: readonly Analysis[];
  /** Cursor of the next older page; null at the end. */
  readonly next: string | null;
}

/** Filter of a list; empty or null does not restrict it. */
export interface AnalysisFilter {
  readonly search: string;
  readonly state: AnalysisState | null;
}

export const EVERY_ANALYSIS: AnalysisFilter = { search: "", state: null };

export const NOT_ANNOTATED: Annotated = { state: "none", doneShare: 0, problem: "" };

export function hasEnded({ state }: Pick<Analysis, "state">): boolean {
  return ENDED.has(state);
}

/** The filter as a query string, for the server and for the page's own URL. */
export function analysisQuery({ search, state }: AnalysisFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (search !== "") query.set("search", search);
  if (state !== null) query.set("state", state);
  return query;
}

/** Parses a query string; invalid values are ignored. */
export function readAnalysisFilter(query: URLSearchParams): AnalysisFilter {
  return { search: query.get("search") ?? "", state: ANALYSIS_STATES.find((state) => state === query.get("state")) ?? null };
}

function matches({ file, state }: Analysis, filter: AnalysisFilter): boolean {
  const found = file.name.toLowerCase().includes(filter.search.toLowerCase());
  return found && (filter.state === null || state === filter.state);
}

/** A list, newest first, updated with an analysis that was added, has progressed or ended. */
export function withAnalysis(items: readonly Analysis[], analysis: Analysis, filter: AnalysisFilter): readonly Analysis[] {
  const place = items.findIndex(({ id }) => id === analysis.id);
  if (!matches(analysis, filter)) return place < 0 ? items : items.toSpliced(place, 1);
  if (place >= 0) return items.with(place, analysis);
  const after = items.findIndex(({ createdS, id }) => createdS < analysis.createdS || (createdS === analysis.createdS && id < analysis.id));
  return items.toSpliced(after < 0 ? items.length : after, 0, analysis);
}

/** Analyses of a list to follow: the running ones, or the next one if none is running. */
export function followed(items: readonly Analysis[], most: number): readonly string[] {
  const going = items.filter((analysis) => !hasEnded(analysis) && analysis.state !== "queued");
  const next = items.findLast(({ state }) => state === "queued");
  const chosen = going.length > 0 || next === undefined ? going : [next];
  return chosen.slice(0, most).map(({ id }) => id);
}

/** The server's zeros and empty strings mean that a value is not known yet. */
export const readFile: Read<UploadedFile> = (value, where) => {
  const file = body("UploadBody")(value, where);
  return {
    ...file,
    kind: file.kind === "" ? null : file.kind,
    width: file.width || null,
    height: file.height || null,
    durationS: file.durationS || null,
    fps: file.fps || null,
    codec: file.codec || null,
  };
};

export const readAnalysis: Read<Analysis> = (value, where) => ({
  ...body("AnalysisBody")(value, where),
  file: readFile(object(value, where).file, `${where}.file`),
});

export const readAnalyses: Read<AnalysisPage> = (value, where) => {
  const from = object(value, where);
  return { items: listOf(readAnalysis, 500)(from.items, `${where}.items`), next: orNull(text)(from.next, `${where}.next`) };
};

export const readSubmitted: Read<readonly Analysis[]> = (value, where) =>
  listOf(readAnalysis, 1000)(object(value, where).items, `${where}.items`);

export const readAnnotated = body("AnnotationBody");
