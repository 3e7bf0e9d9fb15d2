/** The timeline's drawing, by uPlot: a box in the page and a timeline enter, pixels and the hovered index leave. */

import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { HISTORY_S, type Timeline } from "../stream/history";
import type { Thresholds } from "../stream/messages";
import { drawBands, FONT } from "./chartBands";
import { lineStyle } from "./lineStyle";

export class TimelineChart {
  readonly #resize: ResizeObserver;
  readonly #dark = window.matchMedia("(prefers-color-scheme: dark)");
  #plot: UPlot | null = null;
  #key = "";
  #shown: { timeline: Timeline; nowS: number } | null = null;

  /** @param onHover is told the index of the values under the pointer, or null */
  constructor(
    private readonly box: HTMLElement,
    private readonly thresholds: Thresholds | null,
    private readonly onHover: (index: number | null) => void,
  ) {
    this.#resize = new ResizeObserver(() => {
      this.#plot?.setSize({ width: box.clientWidth, height: box.clientHeight });
    });
    this.#resize.observe(box);
    this.#dark.addEventListener("change", this.#redraw);
  }

  show(timeline: Timeline, nowS: number): void {
    this.#shown = { timeline, nowS };
    const key = timeline.lines.map((line) => `${line.connection}/${line.track}`).join(" ");
    if (this.#plot === null || key !== this.#key) {
      this.#plot?.destroy();
      this.#plot = new UPlot(this.#options(timeline), dataOf(timeline), this.box);
      this.#key = key;
    } else this.#plot.setData(dataOf(timeline), false);
    this.#plot.setScale("x", { min: nowS - HISTORY_S, max: nowS });
  }

  close(): void {
    this.#resize.disconnect();
    this.#dark.removeEventListener("change", this.#redraw);
    this.#plot?.destroy();
    this.#plot = null;
  }

  /** Colours are read when the plot is made: another scheme takes another plot. */
  readonly #redraw = (): void => {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#shown !== null) this.show(this.#shown.timeline, this.#shown.nowS);
  };

  #colour(variable: string): string {
    return getComputedStyle(this.box).getPropertyValue(variable).trim();
  }

  #options(timeline: Timeline): UPlot.Options {
    const muted = this.#colour("--muted");
    const marks = this.thresholds === null ? [] : [this.thresholds.realEnter, this.thresholds.fakeEnter];
    const axis = { font: FONT, stroke: muted, ticks: { show: false } };
    return {
      width: this.box.clientWidth,
      height: this.box.clientHeight,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { time: false, auto: false }, y: { range: [0, 1] } },
      axes: [
        {
          ...axis,
          size: 28,
          gap: 8,
          grid: { show: false },
          splits: (plot) => secondsAgo(plot),
          values: (plot, splits) => splits.map((at) => ago(plot, at)),
        },
        {
          ...axis,
          size: 40,
          gap: 4,
          grid: { show: false },
          splits: [0, ...marks, 1],
          values: (_, splits) => splits.map((value) => value.toFixed(2)),
        },
      ],
      series: [
        {},
        ...timeline.lines.flatMap((line): UPlot.Series[] => {
          const { variable, dash } = lineStyle(line.track);
          const stroke = this.#colour(variable);
          return [
            { stroke, width: 2, dash: [...dash], points: { show: false }, spanGaps: false },
            { stroke, paths: () => null, points: { show: true, size: 4, width: 0, fill: `${stroke}80` } },
          ];
        }),
      ],
      hooks: {
        drawClear: [
          (plot) => {
            drawBands(plot, this.thresholds, (variable) => this.#colour(variable));
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
