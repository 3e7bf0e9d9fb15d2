/** A model's sampled frames, prepared for the chart, the table and the zoom. Pure; times are seconds from the video's first frame. */

import type { FaceTrack, FlaggedFrame, ModelReview, SampledFrame } from "./analysisResults";
import { VERDICT_STATES } from "./messages";

/** There are no more line styles than this: the worst faces are drawn. */
export const MAX_LINES = 9;
/** Missing samples that make a gap. */
const GAP_SAMPLES = 2.5;
/** Rows of the table: as many as one can listen to with a screen reader. */
const ROWS = 12;
/** Minimum range of the zoom. */
const LEAST_SPAN_S = 0.5;

export interface ReviewLine {
  readonly track: number;
  /** of the window and of single frames, in [0, 1]; null if there was none */
  readonly window: readonly (number | null)[];
  readonly scores: readonly (number | null)[];
}

export interface ReviewTimeline {
  /** ascending; a gap has a row of nulls in its middle */
  readonly atS: readonly number[];
  readonly lines: readonly ReviewLine[];
}

export interface TimeRange {
  readonly fromS: number;
  readonly toS: number;
}

export interface ReviewRow extends TimeRange {
  /** Highest frame score of each face in this range; null if it was not scored. */
  readonly highest: readonly (number | null)[];
}

/** The worst first: by state, then by fake probability, then by length. */
export function worstFirst(tracks: readonly FaceTrack[]): readonly FaceTrack[] {
  return tracks.toSorted(
    (a, b) =>
      VERDICT_STATES.indexOf(b.state) - VERDICT_STATES.indexOf(a.state) ||
      (b.fakeProbability ?? -1) - (a.fakeProbability ?? -1) ||
      b.admitted - a.admitted ||
      a.track - b.track,
  );
}

export function reviewTimeline({ frames, tracks }: Pick<ModelReview, "frames" | "tracks">, rateHz: number): ReviewTimeline {
  const rows = withGaps(frames, rateHz);
  const shown = worstFirst(tracks)
    .slice(0, MAX_LINES)
    .map(({ track }) => track)
    .sort((a, b) => a - b);
  return {
    atS: rows.map(({ timeS }) => timeS),
    lines: shown.map((track) => {
      const faces = rows.map((row) => row.faces.find((face) => face.track === track));
      return {
        track,
        window: faces.map((face) => face?.fakeProbability ?? null),
        scores: faces.map((face) => face?.score ?? null),
      };
    }),
  };
}

/** Video with a lower or uneven frame rate, sampled less often than requested, has no gaps for that reason alone. */
function withGaps(frames: readonly SampledFrame[], rateHz: number): readonly SampledFrame[] {
  const steps = frames.slice(1).map(({ timeS }, index) => timeS - (frames[index]?.timeS ?? timeS));
  const usual = steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const gapS = GAP_SAMPLES * Math.max(usual, 1 / rateHz);
  return frames.flatMap((frame, index) => {
    const before = frames[index - 1];
    if (before === undefined || frame.timeS - before.timeS <= gapS) return [frame];
    return [{ timeS: (before.timeS + frame.timeS) / 2, faces: [] }, frame];
  });
}

/** The whole video: to its end, or to its last sample if the end is unknown. */
export function wholeRange(durationS: number | null, frames: readonly SampledFrame[]): TimeRange {
  return { fromS: 0, toS: Math.max(durationS ?? 0, frames.at(-1)?.timeS ?? 0, LEAST_SPAN_S) };
}

/** @param factor below 1 shows less; @param atS stays where it is */
export function zoomed(range: TimeRange, factor: number, atS: number, whole: TimeRange): TimeRange {
  const length = range.toS - range.fromS;
  const span = Math.min(Math.max(length * factor, LEAST_SPAN_S), whole.toS - whole.fromS);
  const part = Math.min(1, Math.max(0, (atS - range.fromS) / length));
  return within({ fromS: atS - part * span, toS: atS + (1 - part) * span }, whole);
}

/** The range that the user selected with the pointer; null if it has no width. */
export function chosen(fromS: number, toS: number, whole: TimeRange): TimeRange {
  const middle = (fromS + toS) / 2;
  const half = Math.max(Math.abs(toS - fromS), LEAST_SPAN_S) / 2;
  return within({ fromS: middle - half, toS: middle + half }, whole);
}

export function moved(range: TimeRange, byS: number, whole: TimeRange): TimeRange {
  return within({ fromS: range.fromS + byS, toS: range.toS + byS }, whole);
}

/** The same range if it contains `atS`, otherwise one of the same length that does. */
export function showing(range: TimeRange, atS: number, whole: TimeRange): TimeRange {
  if (atS >= range.fromS && atS <= range.toS) return range;
  return within({ fromS: atS - (range.toS - range.fromS) / 2, toS: atS + (range.toS - range.fromS) / 2 }, whole);
}

function within({ fromS, toS }: TimeRange, whole: TimeRange): TimeRange {
  const span = Math.min(toS - fromS, whole.toS - whole.fromS);
  const from = Math.min(Math.max(fromS, whole.fromS), whole.toS - span);
  return { fromS: from, toS: from + span };
}

/** The sample `by` positions after (or before) the one shown at `timeS`. */
export function stepped(frames: readonly SampledFrame[], timeS: number, by: number): number {
  const index = Math.max(0, nearest(frames, timeS));
  return frames[Math.min(frames.length - 1, Math.max(0, index + by))]?.timeS ?? 0;
}

/** The sample at `timeS`, or the nearest one; undefined without samples. */
export function frameAt(frames: readonly SampledFrame[], timeS: number): SampledFrame | undefined {
  return frames[nearest(frames, timeS)];
}

function nearest(frames: readonly SampledFrame[], timeS: number): number {
  let [low, high] = [0, frames.length - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [a, b] = [frames[middle]?.timeS ?? 0, frames[middle + 1]?.timeS ?? 0];
    if (timeS - a > b - timeS) low = middle + 1;
    else high = middle;
  }
  return high < 0 ? -1 : low;
}

/** Twelve rows over the whole video, oldest first; fewer if there are fewer samples. */
export function reviewRows({ atS, lines }: ReviewTimeline, whole: TimeRange): readonly ReviewRow[] {
  const count = Math.min(ROWS, Math.max(1, atS.length));
  const lengthS = (whole.toS - whole.fromS) / count;
  return Array.from({ length: count }, (_, row) => {
    const fromS = whole.fromS + row * lengthS;
    const toS = fromS + lengthS;
    const last = row === count - 1;
    const inside = atS.flatMap((at, index) => (at >= fromS && (at < toS || last) ? [index] : []));
    return { fromS, toS, highest: lines.map(({ scores }) => highest(inside.map((index) => scores[index] ?? null))) };
  });
}

function highest(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>((most, value) => (value !== null && (most === null || value > most) ? value : most), null);
}

/** Numbers of faces that were not scored, by reason, over all tracks; most frequent first. */
export function refusedCounts(tracks: readonly FaceTrack[]): readonly (readonly [why: string, count: number])[] {
  const counts = new Map<string, number>();
  for (const { refused } of tracks) for (const [why, count] of refused) counts.set(why, (counts.get(why) ?? 0) + count);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

/** The flagged frame `by` positions further in the strip, which wraps around. */
export function flaggedBeside(flagged: readonly FlaggedFrame[], n: number, by: number): FlaggedFrame | undefined {
  const index = flagged.findIndex((frame) => frame.n === n);
  return index < 0 ? undefined : flagged[(index + by + flagged.length) % flagged.length];
}
