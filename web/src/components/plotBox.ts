/** A box in the page and the uPlot in it: resized with it, made anew when the colour scheme changes. */

import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { FONT } from "./chartBands";

export interface PlotBoxListener {
  /** The plot has another size. */
  onResize?(): void;
  /** The plot is gone, as its colours are: draw another one. */
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

  /** What both axes of a chart look like. */
  get axis(): UPlot.Axis {
    return { font: FONT, stroke: this.colour("--muted"), ticks: { show: false }, grid: { show: false } };
  }

  /** A colour of the page's scheme. Read when the plot is made: another scheme takes another plot. */
  readonly colour = (variable: string): string => getComputedStyle(this.box).getPropertyValue(variable).trim();

  /** Draws a plot in place of the one that is there. */
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
