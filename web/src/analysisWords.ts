/** Texts about analyses: a word and a sentence for each state. Pure. */

import { probability } from "./figures";
import type { Analysis, AnalysisState, Annotated, UploadedFile } from "./stream/analyses";
import type { ModelReview } from "./stream/analysisResults";
import type { Upload } from "./stream/uploads";
import { span } from "./times";
import { asSentence, WORDS, type ShownState } from "./words";

export const ANALYSIS_WORDS: Readonly<Record<AnalysisState, string>> = {
  queued: "Queued",
  fetching: "Fetching",
  running: "Analysing",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

export interface ShownAnalysis {
  /** The state that its badge shows. */
  readonly state: ShownState;
  readonly word: string;
}

export function shownAnalysis({ state, verdict }: Pick<Analysis, "state" | "verdict">): ShownAnalysis {
  const word = ANALYSIS_WORDS[state];
  switch (state) {
    case "queued":
    case "cancelled":
      return { state: "idle", word };
    case "fetching":
    case "running":
      return { state: "gathering", word };
    case "failed":
      return { state: "unavailable", word };
    case "done":
      return verdict === null ? { state: "idle", word } : { state: verdict, word: WORDS[verdict] };
  }
}

/** "40 %, about 12 s left" */
export function progressWords(doneShare: number, etaS: number | null): string {
  const done = `${Math.floor(doneShare * 100)} %`;
  return etaS === null ? done : `${done}, about ${span(Math.max(1, etaS))} left`;
}

export function analysisSentence(analysis: Pick<Analysis, "state" | "problem" | "doneShare" | "etaS">): string {
  switch (analysis.state) {
    case "queued":
      return "Waiting in the queue.";
    case "fetching":
    case "running":
      return progressWords(analysis.doneShare, analysis.etaS);
    case "failed":
      return analysis.problem === "" ? "It failed for an unknown reason." : asSentence(analysis.problem);
    case "cancelled":
      return "Cancelled. The file was deleted.";
    case "done":
      return "";
  }
}

export function uploadSentence({ state, file, sentBytes, etaS, failure }: Upload): string {
  switch (state) {
    case "waiting":
      return `${size(file.size)}, waiting`;
    case "sending":
      return `${size(sentBytes)} of ${size(file.size)} sent${etaS === null ? "" : `, about ${span(Math.max(1, etaS))} left`}`;
    case "handing_over":
      return "Sent; the server is storing it";
    case "failed":
      return asSentence(failure?.detail ?? "it could not be sent");
  }
}

/** Progress in quarters, so that a screen reader announces it four times and not four hundred. */
export function quarter(what: string, doneShare: number): string {
  const quarters = Math.floor(doneShare * 4);
  return quarters === 0 ? `${what} began` : `${what}: ${quarters * 25} %`;
}

/** "Video, 1280 × 720, 31.2 s, 29.97 fps, h264, 1.2 MB" */
export function factsOf(file: UploadedFile): string {
  const { kind, width, height, durationS, fps, codec, bytes } = file;
  return [
    kind === null ? null : kind === "image" ? "Picture" : "Video",
    width === null || height === null ? null : `${width} × ${height}`,
    durationS === null ? null : durationS < 60 ? `${Number(durationS.toFixed(1))} s` : span(durationS),
    fps === null ? null : `${Number(fps.toFixed(2))} fps`,
    codec,
    size(bytes),
  ]
    .filter((fact) => fact !== null)
    .join(", ");
}

export function size(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export function annotatedSentence({ state, doneShare, problem }: Annotated): string {
  switch (state) {
    case "none":
    case "done":
      return "";
    case "queued":
      return "Waiting in the queue.";
    case "running":
      return progressWords(doneShare, null);
    case "failed":
      return asSentence(problem === "" ? "it could not be created" : problem);
  }
}

/** "Fake, highest 0.97" */
export function verdictWords({ state, fakeProbability }: ModelReview["verdict"]): string {
  return fakeProbability === null ? WORDS[state] : `${WORDS[state]}, highest ${probability(fakeProbability)}`;
}
