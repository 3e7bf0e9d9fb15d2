/** The timeline as a table, for those who cannot see the chart. Pure. */

import type { Line, Timeline } from "../stream/history";

/** Six rows of ten seconds: as many as one can listen to with a screen reader. */
const ROW_S = 10;
const ROWS = 6;

export interface TableRow {
  /** "10 to 20 s ago" */
  readonly when: string;
  /** Mean fake probability of each line's window in these seconds; null if there was none. */
  readonly means: readonly (number | null)[];
}

/** The newest row first. */
export function timelineTable(timeline: Timeline, nowS: number): readonly TableRow[] {
  return Array.from({ length: ROWS }, (_, row) => {
    const [newest, oldest] = [nowS - row * ROW_S, nowS - (row + 1) * ROW_S];
    const inside = timeline.atS.flatMap((atS, index) => (atS > oldest && atS <= newest ? [index] : []));
    return { when: `${row * ROW_S} to ${(row + 1) * ROW_S} s ago`, means: timeline.lines.map((line) => mean(line, inside)) };
  });
}

function mean(line: Line, indices: readonly number[]): number | null {
  const values = indices.flatMap((index) => line.window[index] ?? []);
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
