/** The background of score charts: the thresholds as labelled bands. */

import type UPlot from "uplot";
import { exact } from "../figures";
import type { Thresholds } from "../stream/messages";

export const FONT = "12px system-ui, sans-serif";

/** Width of the probability axis, for labels of LABEL_CHARS. */
export const LEVELS_PX = 52;
const LABEL_CHARS = 7;

/** Draws lines at fake_enter and real_enter, and dashed ones at fake_leave and real_leave. `colour` reads a CSS variable. */
export function drawBands(plot: UPlot, thresholds: Thresholds | null, colour: (variable: string) => string): void {
  if (thresholds === null) return;
  const { ctx, bbox } = plot;
  const { fakeEnter, fakeLeave, realEnter, realLeave } = thresholds;
  const y = (value: number) => plot.valToPos(value, "y", true);
  const band = (variable: string, from: number, to: number) => {
    ctx.fillStyle = `${colour(variable)}38`;
    ctx.fillRect(bbox.left, y(to), bbox.width, y(from) - y(to));
  };
  ctx.save();
  band("--color-fake", fakeEnter, 1);
  band("--color-real", 0, realEnter);
  ctx.strokeStyle = colour("--edge");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const value of [fakeLeave, realLeave]) {
    ctx.beginPath();
    ctx.moveTo(bbox.left, y(value));
    ctx.lineTo(bbox.left + bbox.width, y(value));
    ctx.stroke();
  }
  ctx.setLineDash([]);
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.fillStyle = colour("--muted");
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (const [word, from, to] of [
    ["fake", fakeEnter, 1],
    ["uncertain", realEnter, fakeEnter],
    ["real", 0, realEnter],
  ] as const) {
    ctx.fillText(word, bbox.left + 6 * devicePixelRatio, y((from + to) / 2));
  }
  ctx.restore();
}

const NEAR = 0.1;

/** Labels of the probability axis; 0 and 1 are left out if a threshold is less than a line of text away. */
export function levelLabels(levels: readonly number[]): string[] {
  const thresholds = levels.filter((level) => level > 0 && level < 1);
  return levels.map((level) =>
    thresholds.some((threshold) => threshold !== level && (level === 0 || level === 1) && Math.abs(threshold - level) < NEAR)
      ? ""
      : levelLabel(level),
  );
}

function levelLabel(level: number): string {
  const label = exact(level);
  return label.length <= LABEL_CHARS ? label : level.toFixed(LABEL_CHARS - 2);
}
