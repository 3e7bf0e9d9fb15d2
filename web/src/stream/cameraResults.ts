/** The newest result of one camera, with all faces, for the camera's page. Independent of the view. */

import { EventFeed, type FeedState } from "./eventFeed";
import type { StreamFailure } from "./failure";
import type { Http } from "./http";
import { readResult, type CheckResult } from "./messages";
import { object, ShapeError, text } from "./shape";

export interface ResultsSnapshot {
  readonly feed: FeedState;
  readonly failure: StreamFailure | null;
  /** null before the first one, and while the camera is not live */
  readonly result: CheckResult | null;
  /** No result for longer than the server's `stale_s`. */
  readonly stale: boolean;
}

const NOTHING: ResultsSnapshot = { feed: "closed", failure: null, result: null, stale: false };

export class CameraResults {
  readonly #listeners = new Set<() => void>();
  readonly #feed: EventFeed;
  #snapshot = NOTHING;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    http: Http,
    camera: string,
    private readonly staleS: number,
    random: () => number,
  ) {
    const path = `/api/streams/${encodeURIComponent(camera)}/results`;
    const onMessage = (event: string, data: unknown): void => {
      this.#take(event, data);
    };
    const onState = (feed: FeedState, failure: StreamFailure | null): void => {
      this.#set(feed === "open" ? { feed, failure } : { feed, failure, stale: this.#snapshot.result !== null });
    };
    this.#feed = new EventFeed(http, path, { onMessage, onState }, random);
  }

  readonly snapshot = (): ResultsSnapshot => this.#snapshot;

  /** Follows the camera while there are subscribers. @returns a function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#feed.open();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearTimeout(this.#timer);
      this.#feed.close();
    };
  };

  #take(event: string, data: unknown): void {
    if (event !== "result" && event !== "state") return;
    let freshMs: number;
    try {
      if (event === "state") {
        this.#follow(text(object(data, "state").state, "state.state"));
        return;
      }
      const result = readResult(data, "result");
      freshMs = this.staleS * 1000 - result.latencyMs;
      this.#set({ result, stale: freshMs <= 0 });
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      console.warn(`ignored a message that does not follow the protocol: ${error.message}`);
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#set({ stale: true });
    }, freshMs);
  }

  /** A result from before an interruption is not that of the person who is there after it. */
  #follow(state: string): void {
    if (state === "live") return;
    clearTimeout(this.#timer);
    this.#set({ result: null, stale: false });
  }

  #set(change: Partial<ResultsSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}
