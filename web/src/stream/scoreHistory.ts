/** The score history, prepared for the chart and the table. Pure. */

import type { CameraState, Score, Scores, StateEntry } from "./cameras";
import { VERDICT_STATES, type VerdictState } from "./messages";

export interface ScoreLines {
  /** Unix seconds, ascending; a gap has a row of nulls in its middle */
  readonly atS: readonly number[];
  readonly low: readonly (number | null)[];
  readonly mean: readonly (number | null)[];
  readonly high: readonly (number | null)[];
}

/** A period in one of the camera's states. */
export interface StateSpan {
  readonly fromS: number;
  readonly toS: number;
  readonly state: CameraState;
  readonly reason: string;
}

export interface ScoreRow {
  readonly fromS: number;
  readonly toS: number;
  readonly mean: number | null;
  readonly high: number | null;
  /** The worst state of its steps; null if there was none. */
  readonly state: VerdictState | null;
}

/** Rows of the table: as many as one can listen to with a screen reader. */
const ROWS = 12;

/** Lines that break where steps are missing. */
export function scoreLines({ stepS, items }: Scores): ScoreLines {
  const rows = items.flatMap((score, index) => {
    const before = items[index - 1];
    if (before === undefined || score.atS - before.atS <= 1.5 * stepS) return [score];
    const hole: Score = { atS: before.atS + stepS, low: null, mean: null, high: null, state: "no_face" };
    return [hole, score];
  });
  return {
    atS: rows.map(({ atS }) => atS),
    low: rows.map(({ low }) => low),
    mean: rows.map(({ mean }) => mean),
    high: rows.map(({ high }) => high),
  };
}

/** @param states oldest first, including the state at `fromS` */
export function stateSpans(states: readonly StateEntry[], fromS: number, toS: number): readonly StateSpan[] {
  return states.flatMap(({ atS, state, reason }, index) => {
    const span = { fromS: Math.max(fromS, atS), toS: Math.min(toS, states[index + 1]?.atS ?? toS), state, reason };
    return span.toS > span.fromS ? [span] : [];
  });
}

/** The newest row first. */
export function scoreRows({ items }: Scores, fromS: number, toS: number): readonly ScoreRow[] {
  const lengthS = (toS - fromS) / ROWS;
  return Array.from({ length: ROWS }, (_, row) => {
    const end = toS - row * lengthS;
    const inside = items.filter(({ atS }) => atS >= end - lengthS && atS < end);
    const means = inside.flatMap(({ mean }) => mean ?? []);
    const highs = inside.flatMap(({ high }) => high ?? []);
    return {
      fromS: end - lengthS,
      toS: end,
      mean: means.length === 0 ? null : means.reduce((sum, value) => sum + value, 0) / means.length,
      high: highs.length === 0 ? null : Math.max(...highs),
      state: worst(inside),
    };
  });
}

function worst(scores: readonly Score[]): VerdictState | null {
  // In the protocol's order, from the least to the most severe.
  const rank = Math.max(-1, ...scores.map(({ state }) => VERDICT_STATES.indexOf(state)));
  return VERDICT_STATES[rank] ?? null;
}
