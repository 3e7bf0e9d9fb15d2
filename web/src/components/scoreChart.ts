/** Draws hours of scores with uPlot, and reports the hovered index. */

import type UPlot from "uplot";
import type { CameraEvent } from "../stream/events";
import type { Thresholds } from "../stream/messages";
import type { ScoreLines } from "../stream/scoreHistory";
import { clock } from "../times";
import { drawBands, levelLabels, LEVELS_PX } from "./chartBands";
import { PlotBox } from "./plotBox";

/** Position of the plot in its element, in px, to align the strip of states below. */
export const PLOT_LEFT_PX = LEVELS_PX;
export const PLOT_RIGHT_PX = 28;
const MARK_PX = 6;

export interface ScoreView {
  readonly lines: ScoreLines;
  readonly fromS: number;
  readonly toS: number;
  readonly thresholds: Thresholds | null;
  readonly events: readonly Pick<CameraEvent, "kind" | "beganS" | "endedS">[];
}

export class ScoreChart {
  readonly #drawn: PlotBox;
  #view: ScoreView | null = null;

  /** @param onHover receives the index of the values under the pointer, or null */
  constructor(
    box: HTMLElement,
    private readonly onHover: (index: number | null) => void,
  ) {
    this.#drawn = new PlotBox(box, {
      onRecolour: () => {
        if (this.#view !== null) this.show(this.#view);
      },
    });
  }

  show(view: ScoreView): void {
    this.#view = view;
    const { lines, fromS, toS } = view;
    const data: UPlot.AlignedData = [[...lines.atS], [...lines.low], [...lines.high], [...lines.mean]];
    const { plot } = this.#drawn;
    plot?.setData(data, false);
    (plot ?? this.#drawn.draw(this.#options(), data)).setScale("x", { min: fromS, max: toS });
  }

  close(): void {
    this.#drawn.close();
  }

  #options(): UPlot.Options {
    const { axis, colour } = this.#drawn;
    const line = colour("--line-1");
    const quiet: UPlot.Series = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: false };
    return {
      ...this.#drawn.size,
      padding: [8, PLOT_RIGHT_PX, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: true, auto: false }, y: { range: [0, 1] } },
      axes: [
        { ...axis, size: 28, gap: 8, space: 72, values: (plot, splits) => splits.map((atS) => clock(atS, spanOf(plot) < 600)) },
        {
          ...axis,
          size: PLOT_LEFT_PX,
          gap: 4,
          splits: () => this.#levels(),
          values: (_, splits) => levelLabels(splits),
        },
      ],
      bands: [{ series: [2, 1], fill: `${line}40` }],
      series: [{}, quiet, quiet, { stroke: line, width: 1.5, points: { show: false }, spanGaps: false }],
      hooks: {
        drawClear: [
          (plot) => {
            drawBands(plot, this.#view?.thresholds ?? null, colour);
          },
        ],
        draw: [
          (plot) => {
            this.#marks(plot);
          },
        ],
        setCursor: [
          (plot) => {
            this.onHover(plot.cursor.idx ?? null);
          },
        ],
      },
    };
  }

  #levels(): number[] {
    const thresholds = this.#view?.thresholds ?? null;
    return thresholds === null ? [0, 0.5, 1] : [0, thresholds.realEnter, thresholds.fakeEnter, 1];
  }

  /** Each event: a bar along the top for as long as it lasted, and a line where it began. */
  #marks(plot: UPlot): void {
    const view = this.#view;
    if (view === null) return;
    const { ctx, bbox } = plot;
    const x = (atS: number) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, plot.valToPos(atS, "x", true)));
    ctx.save();
    for (const { kind, beganS, endedS } of view.events) {
      if ((endedS ?? view.toS) < view.fromS || beganS > view.toS) continue;
      const [from, to] = [x(beganS), x(endedS ?? view.toS)];
      ctx.fillStyle = this.#drawn.colour(kind === "fake" ? "--color-fake" : "--color-unknown");
      ctx.fillRect(from, bbox.top, Math.max(to - from, MARK_PX * devicePixelRatio), MARK_PX * devicePixelRatio);
      if (beganS >= view.fromS) ctx.fillRect(from, bbox.top, devicePixelRatio, bbox.height);
    }
    ctx.restore();
  }
}

function spanOf(plot: UPlot): number {
  return (plot.scales.x?.max ?? 0) - (plot.scales.x?.min ?? 0);
}
