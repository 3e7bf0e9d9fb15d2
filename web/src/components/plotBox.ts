/** Keeps a uPlot in an element: resizes it, and creates it again when the colour scheme changes. */

import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { FONT } from "./chartBands";

export interface PlotBoxListener {
  /** The size of the plot has changed. */
  onResize?(): void;
  /** The plot was removed because its colours have changed: draw a new one. */
  onRecolour(): void;
}

export class PlotBox {
  readonly #resize: ResizeObserver;
  readonly #dark = window.matchMedia("(prefers-color-scheme: dark)");
  #plot: UPlot | null = null;

  constructor(
    private readonly box: HTMLElement,
    private readonly listener: PlotBoxListener,
  ) {
    this.#resize = new ResizeObserver(() => {
      this.#plot?.setSize(this.size);
      this.listener.onResize?.();
    });
    this.#resize.observe(box);
    this.#dark.addEventListener("change", this.#recolour);
  }

  get plot(): UPlot | null {
    return this.#plot;
  }

  get size(): Pick<UPlot.Options, "width" | "height"> {
    return { width: this.box.clientWidth, height: this.box.clientHeight };
  }

  /** Style of both axes. */
  get axis(): UPlot.Axis {
    return { font: FONT, stroke: this.colour("--muted"), ticks: { show: false }, grid: { show: false } };
  }

  /** A colour of the current scheme. It is read when the plot is created; another scheme needs a new plot. */
  readonly colour = (variable: string): string => getComputedStyle(this.box).getPropertyValue(variable).trim();

  /** Draws a plot instead of the current one. */
  draw(options: UPlot.Options, data: UPlot.AlignedData): UPlot {
    this.#plot?.destroy();
    this.#plot = new UPlot(options, data, this.box);
    return this.#plot;
  }

  close(): void {
    this.#resize.disconnect();
    this.#dark.removeEventListener("change", this.#recolour);
    this.#clear();
  }

  readonly #recolour = (): void => {
    this.#clear();
    this.listener.onRecolour();
  };

  #clear(): void {
    this.#plot?.destroy();
    this.#plot = null;
  }
}
