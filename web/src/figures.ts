/** Formats numbers for the page; a dash stands for a missing one. */

export const NONE = "–";

export function figure(value: number | null | undefined, unit = "", digits = 0): string {
  if (value === null || value === undefined) return NONE;
  return `${value.toFixed(digits)}${unit === "" ? "" : ` ${unit}`}`;
}

/** A probability in [0, 1], always with two decimals: "0.08". */
export function probability(value: number | null | undefined): string {
  return figure(value, "", 2);
}

/** A threshold, with two decimals if that is exact, otherwise unrounded: "0.90", "0.002". */
export function exact(value: number): string {
  const short = value.toFixed(2);
  return Number(short) === value ? short : String(value);
}

/** A measured figure: a share with three decimals, any other with three significant digits. */
export function measured(value: number): string {
  return Math.abs(value) <= 1 ? value.toFixed(3) : String(Number(value.toPrecision(3)));
}

/** The ends of an interval; empty if it was not measured. */
export function interval(low: number | null, high: number | null): string {
  return low === null || high === null ? "" : `${measured(low)}–${measured(high)}`;
}
