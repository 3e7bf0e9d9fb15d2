/** Draws the timeline with uPlot, and reports the hovered index. */

import type UPlot from "uplot";
import { HISTORY_S, type Timeline } from "../stream/history";
import type { Thresholds } from "../stream/messages";
import { drawBands, levelLabels, LEVELS_PX } from "./chartBands";
import { lineStyle } from "./lineStyle";
import { PlotBox } from "./plotBox";

export class TimelineChart {
  readonly #drawn: PlotBox;
  #key = "";
  #shown: { timeline: Timeline; nowS: number } | null = null;

  /** @param onHover receives the index of the values under the pointer, or null */
  constructor(
    box: HTMLElement,
    private readonly thresholds: Thresholds | null,
    private readonly onHover: (index: number | null) => void,
  ) {
    this.#drawn = new PlotBox(box, {
      onRecolour: () => {
        if (this.#shown !== null) this.show(this.#shown.timeline, this.#shown.nowS);
      },
    });
  }

  show(timeline: Timeline, nowS: number): void {
    this.#shown = { timeline, nowS };
    const key = timeline.lines.map((line) => `${line.connection}/${line.track}`).join(" ");
    const plot = key === this.#key ? this.#drawn.plot : null;
    this.#key = key;
    plot?.setData(dataOf(timeline), false);
    (plot ?? this.#drawn.draw(this.#options(timeline), dataOf(timeline))).setScale("x", { min: nowS - HISTORY_S, max: nowS });
  }

  close(): void {
    this.#drawn.close();
  }

  #options(timeline: Timeline): UPlot.Options {
    const { axis, colour } = this.#drawn;
    const marks = this.thresholds === null ? [] : [this.thresholds.realEnter, this.thresholds.fakeEnter];
    return {
      ...this.#drawn.size,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: false, auto: false }, y: { range: [0, 1] } },
      axes: [
        {
          ...axis,
          size: 28,
          gap: 8,
          splits: (plot) => secondsAgo(plot),
          values: (plot, splits) => splits.map((at) => ago(plot, at)),
        },
        {
          ...axis,
          size: LEVELS_PX,
          gap: 4,
          splits: [0, ...marks, 1],
          values: (_, splits) => levelLabels(splits),
        },
      ],
      series: [
        {},
        ...timeline.lines.flatMap((line): UPlot.Series[] => {
          const { variable, dash } = lineStyle(line.track);
          const stroke = colour(variable);
          return [
            { stroke, width: 2, dash: [...dash], points: { show: false }, spanGaps: false },
            { stroke, paths: () => null, points: { show: true, size: 4, width: 0, fill: `${stroke}80` } },
          ];
        }),
      ],
      hooks: {
        drawClear: [
          (plot) => {
            drawBands(plot, this.thresholds, colour);
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
}

function dataOf(timeline: Timeline): UPlot.AlignedData {
  return [[...timeline.atS], ...timeline.lines.flatMap((line) => [[...line.window], [...line.scores]])];
}

function secondsAgo(plot: UPlot): number[] {
  const now = plot.scales.x?.max ?? 0;
  return [60, 45, 30, 15, 0].map((seconds) => now - seconds);
}

function ago(plot: UPlot, at: number): string {
  const seconds = Math.round((plot.scales.x?.max ?? 0) - at);
  return seconds === 0 ? "now" : `${seconds} s`;
}
