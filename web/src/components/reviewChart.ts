/** Draws the scores of a video with uPlot, and reports seeks and zooms. */

import type UPlot from "uplot";
import type { FlaggedFrame } from "../stream/analysisResults";
import type { Thresholds } from "../stream/messages";
import { chosen, moved, zoomed, type ReviewTimeline, type TimeRange } from "../stream/reviewTimeline";
import { mediaTime } from "../times";
import { drawBands, levelLabels, LEVELS_PX } from "./chartBands";
import { lineStyle } from "./lineStyle";
import { PlotBox } from "./plotBox";

/** A pointer that moved less than this is a click. */
const DRAG_PX = 6;
const WHEEL_PER_DOUBLING = 240;
const MARK_PX = 5;

export interface ReviewView {
  readonly timeline: ReviewTimeline;
  readonly thresholds: Thresholds;
  readonly flagged: readonly FlaggedFrame[];
  readonly range: TimeRange;
  readonly whole: TimeRange;
}

export interface ReviewChartListener {
  /** The index of the values under the pointer, or null. */
  onHover(index: number | null): void;
  onSeek(timeS: number): void;
  onRange(range: TimeRange): void;
}

export class ReviewChart {
  readonly #drawn: PlotBox;
  readonly #marker = document.createElement("div");
  #view: ReviewView | null = null;
  #timeS = 0;
  #pressedPx: number | null = null;

  constructor(
    private readonly box: HTMLElement,
    private readonly listener: ReviewChartListener,
  ) {
    this.#marker.className = "pointer-events-none absolute inset-y-0 z-10 -ml-px w-0.5 bg-ink";
    this.#marker.dataset.testid = "marker";
    this.#drawn = new PlotBox(box, {
      onResize: () => {
        this.mark(this.#timeS);
      },
      onRecolour: () => {
        if (this.#view !== null) this.show(this.#view);
      },
    });
  }

  show(view: ReviewView): void {
    const same = this.#view?.timeline === view.timeline && this.#view.thresholds === view.thresholds;
    this.#view = view;
    const plot = (same ? this.#drawn.plot : null) ?? this.#draw(view);
    plot.setScale("x", { min: view.range.fromS, max: view.range.toS });
    this.mark(this.#timeS);
  }

  /** Moves the line at the player's position without redrawing the plot. */
  mark(timeS: number): void {
    this.#timeS = timeS;
    const view = this.#view;
    const { plot } = this.#drawn;
    if (plot === null || view === null) return;
    this.#marker.hidden = timeS < view.range.fromS || timeS > view.range.toS;
    this.#marker.style.left = `${plot.valToPos(timeS, "x")}px`;
  }

  close(): void {
    this.#drawn.close();
  }

  #draw(view: ReviewView): UPlot {
    const { atS, lines } = view.timeline;
    const data: UPlot.AlignedData = [[...atS], ...lines.flatMap(({ window, scores }) => [[...window], [...scores]])];
    const plot = this.#drawn.draw(this.#options(view), data);
    plot.over.append(this.#marker);
    plot.over.addEventListener("mousedown", ({ offsetX }) => {
      this.#pressedPx = offsetX;
    });
    plot.over.addEventListener("click", ({ offsetX }) => {
      const clicked = this.#pressedPx === null || Math.abs(offsetX - this.#pressedPx) < DRAG_PX;
      if (clicked) this.listener.onSeek(plot.posToVal(offsetX, "x"));
    });
    plot.over.addEventListener("wheel", this.#onWheel, { passive: false });
    return plot;
  }

  #options(view: ReviewView): UPlot.Options {
    const { axis, colour } = this.#drawn;
    const { realEnter, fakeEnter } = view.thresholds;
    return {
      ...this.#drawn.size,
      padding: [8, 20, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: false, dist: DRAG_PX },
        points: { size: 6 },
        bind: { dblclick: () => null },
      },
      scales: { x: { time: false, auto: false }, y: { range: [0, 1] } },
      axes: [
        { ...axis, size: 28, gap: 8, space: 72, values: (plot, splits) => splits.map((at) => mediaTime(at, digits(plot))) },
        { ...axis, size: LEVELS_PX, gap: 4, splits: [0, realEnter, fakeEnter, 1], values: (_, splits) => levelLabels(splits) },
      ],
      series: [
        {},
        ...view.timeline.lines.flatMap(({ track }): UPlot.Series[] => {
          const { variable, dash } = lineStyle(track);
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
            drawBands(plot, this.#view?.thresholds ?? null, colour);
          },
        ],
        draw: [
          (plot) => {
            this.#drawFlags(plot);
          },
        ],
        setCursor: [
          (plot) => {
            this.listener.onHover(plot.cursor.idx ?? null);
          },
        ],
        setSelect: [
          (plot) => {
            this.#take(plot);
          },
        ],
      },
    };
  }

  /** Dragging over the chart selects the range. */
  #take(plot: UPlot): void {
    const { left, width } = plot.select;
    if (width < DRAG_PX || this.#view === null) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.listener.onRange(chosen(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"), this.#view.whole));
  }

  /** The wheel scrolls the page; it zooms the chart only if the chart has the focus or Ctrl is held. */
  readonly #onWheel = (event: WheelEvent): void => {
    const meant = event.ctrlKey || event.metaKey || this.box.matches(":focus-within");
    const { plot } = this.#drawn;
    if (!meant || plot === null || this.#view === null) return;
    event.preventDefault();
    const { range, whole } = this.#view;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    const perPx = (range.toS - range.fromS) / plot.over.clientWidth;
    this.listener.onRange(
      sideways !== 0
        ? moved(range, sideways * perPx, whole)
        : zoomed(range, 2 ** (event.deltaY / WHEEL_PER_DOUBLING), plot.posToVal(event.offsetX, "x"), whole),
    );
  };

  /** A mark at the top for each flagged frame. */
  #drawFlags(plot: UPlot): void {
    if (this.#view === null) return;
    const { ctx, bbox } = plot;
    const side = MARK_PX * devicePixelRatio;
    ctx.save();
    ctx.fillStyle = this.#drawn.colour("--color-fake");
    for (const { timeS } of this.#view.flagged) {
      const x = plot.valToPos(timeS, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x - side, bbox.top - side);
      ctx.lineTo(x + side, bbox.top - side);
      ctx.lineTo(x, bbox.top + side);
      ctx.fill();
    }
    ctx.restore();
  }
}

function digits(plot: UPlot): number {
  return (plot.scales.x?.max ?? 0) - (plot.scales.x?.min ?? 0) < 8 ? 1 : 0;
}
