/** One analysis while it is on its way, by the server's events; the feed closes itself once the analysis has ended. */

import { hasEnded, readAnalysis, type Analysis } from "./analyses";
import { analysisPath } from "./analysisServer";
import { EventFeed } from "./eventFeed";
import type { StreamFailure } from "./failure";
import type { Http } from "./http";
import { ShapeError } from "./shape";

export interface ProgressListener {
  onAnalysis(analysis: Analysis): void;
  /** It is gone, or the token is not taken: nothing more comes. */
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
