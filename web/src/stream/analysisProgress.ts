/** Follows one analysis by server-sent events until it ends. */

import { hasEnded, readAnalysis, type Analysis } from "./analyses";
import { analysisPath } from "./analysisServer";
import { EventFeed } from "./eventFeed";
import type { StreamFailure } from "./failure";
import type { Http } from "./http";
import { ShapeError } from "./shape";

export interface ProgressListener {
  onAnalysis(analysis: Analysis): void;
  /** The analysis was deleted, or the token was refused: there will be no more events. */
  onRefused(failure: StreamFailure): void;
}

export class AnalysisProgress {
  readonly #feed: EventFeed;

  constructor(
    http: Http,
    id: string,
    private readonly listener: ProgressListener,
    random: () => number,
  ) {
    this.#feed = new EventFeed(
      http,
      analysisPath(id, "/progress"),
      {
        onMessage: (event, data) => {
          if (event === "progress") this.#take(data);
        },
        onState: (state, failure) => {
          if (state === "refused" && failure !== null) listener.onRefused(failure);
        },
      },
      random,
    );
  }

  open(): void {
    this.#feed.open();
  }

  close(): void {
    this.#feed.close();
  }

  #take(data: unknown): void {
    let analysis: Analysis;
    try {
      analysis = readAnalysis(data, "progress");
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      console.warn(`ignored progress that does not follow the protocol: ${error.message}`);
      return;
    }
    if (hasEnded(analysis)) this.#feed.close();
    this.listener.onAnalysis(analysis);
  }
}
