/** Style of a face's line, in the timeline and next to its name: three colours, then three dash patterns. */

export interface LineStyle {
  /** CSS variable of the colour */
  readonly variable: string;
  /** lengths of dashes and gaps in px; empty for a solid line */
  readonly dash: readonly number[];
}

const VARIABLES = ["--line-1", "--line-2", "--line-3"] as const;
const DASHES = [[], [6, 3], [2, 3]] as const;

/** @param track number of the face, from 1 */
export function lineStyle(track: number): LineStyle {
  const index = Math.max(0, track - 1);
  return {
    variable: VARIABLES[index % VARIABLES.length] ?? VARIABLES[0],
    dash: DASHES[Math.floor(index / VARIABLES.length) % DASHES.length] ?? DASHES[0],
  };
}
