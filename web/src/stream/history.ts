/** The data of the timeline: the results of the last minute, oldest first, and their lines. Pure. */

import type { CheckResult, FaceResult } from "./messages";

export const HISTORY_S = 60;
/** Results arrive ten times a second; a longer pause than this is drawn as a gap. */
const GAP_S = 1;
/** More lines than this cannot be told apart; those seen last are kept. */
export const MAX_LINES = 8;

export interface Sample {
  /** seconds on the page's clock */
  readonly atS: number;
  /** Number of the connection; between two connections there is always a gap. */
  readonly connection: number;
  readonly faces: readonly Pick<FaceResult, "track" | "fakeProbability" | "score">[];
}

export interface Line {
  readonly track: number;
  /** Number of its connection: each connection numbers its tracks from 1. */
  readonly connection: number;
  /** Fake probability of the window, in [0, 1]; null is a gap. */
  readonly window: readonly (number | null)[];
  /** Of each single sample, in [0, 1]; null if there was none. */
  readonly scores: readonly (number | null)[];
}

export interface Timeline {
  /** seconds on the page's clock, ascending */
  readonly atS: readonly number[];
  readonly lines: readonly Line[];
}

/** Adds a result to the history, and drops those older than a minute. */
export function remember(history: readonly Sample[], result: CheckResult, atS: number, connection: number): readonly Sample[] {
  const faces = result.faces.map(({ track, fakeProbability, score }) => ({ track, fakeProbability, score }));
  const from = history.findIndex((sample) => sample.atS >= atS - HISTORY_S);
  return [...(from < 0 ? [] : history.slice(from)), { atS, connection, faces }];
}

export function timeline(history: readonly Sample[]): Timeline {
  const rows = withGaps(history);
  const lines: Line[] = [];
  for (const { connection, track } of lastTracks(history)) {
    const at = rows.map((row) => (row.connection === connection ? row.faces.find((face) => face.track === track) : undefined));
    lines.push({
      track,
      connection,
      window: at.map((face) => face?.fakeProbability ?? null),
      scores: at.map((face) => face?.score ?? null),
    });
  }
  return { atS: rows.map((row) => row.atS), lines };
}

/** An empty row in the middle of every gap, so that no line is drawn across it. */
function withGaps(history: readonly Sample[]): readonly Sample[] {
  return history.flatMap((sample, index) => {
    const before = history[index - 1];
    if (before === undefined) return [sample];
    const silent = sample.atS - before.atS > GAP_S || sample.connection !== before.connection;
    return silent ? [{ ...sample, atS: (before.atS + sample.atS) / 2, faces: [] }, sample] : [sample];
  });
}

/** The tracks that were seen last, at most MAX_LINES, in the order of their first appearance. */
function lastTracks(history: readonly Sample[]): readonly { connection: number; track: number }[] {
  const seen = new Map<string, { connection: number; track: number; first: number; last: number }>();
  history.forEach((sample, index) => {
    for (const { track } of sample.faces) {
      const key = `${sample.connection}/${track}`;
      const known = seen.get(key);
      if (known === undefined) seen.set(key, { connection: sample.connection, track, first: index, last: index });
      else known.last = index;
    }
  });
  return [...seen.values()]
    .sort((a, b) => b.last - a.last)
    .slice(0, MAX_LINES)
    .sort((a, b) => a.first - b.first || a.track - b.track);
}
