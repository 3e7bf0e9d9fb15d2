/**
 * The current state of all cameras, over a single connection. Independent of the view: use `subscribe` and `snapshot`.
 * It follows the server only while there are subscribers.
 */

import type { CameraServer } from "./cameraServer";
import { readCamera, type Camera } from "./cameras";
import { EventFeed, type FeedState } from "./eventFeed";
import { readEvent, type CameraEvent } from "./events";
import { asFailure, type StreamFailure } from "./failure";
import type { Http } from "./http";
import { object, ShapeError, text } from "./shape";

/** Fifty cameras report fifty times a second: subscribers are notified of all of them at once. */
const TELL_MS = 250;
/** The connection survives a change from one page to the next. */
const LINGER_MS = 2_000;

export interface SeenCamera {
  readonly camera: Camera;
  /** Time of the report: ms of performance.now(). */
  readonly atMs: number;
}

export interface FleetSnapshot {
  readonly feed: FeedState;
  /** The reason, in `waiting` and `refused`. */
  readonly failure: StreamFailure | null;
  /** By name; null before the first response. */
  readonly cameras: readonly SeenCamera[] | null;
  /** Time of the snapshot: ms of performance.now(). */
  readonly atMs: number;
}

export class Fleet {
  readonly #listeners = new Set<() => void>();
  readonly #eventListeners = new Set<(event: CameraEvent) => void>();
  readonly #feed: EventFeed;
  readonly #seen = new Map<string, SeenCamera>();
  #snapshot: FleetSnapshot = { feed: "closed", failure: null, cameras: null, atMs: 0 };
  #state: FeedState = "closed";
  #failure: StreamFailure | null = null;
  /** Cameras that were removed since the list was requested, which may still contain them. */
  readonly #removed = new Set<string>();
  #lists = 0;
  #complete = false;
  #telling = false;
  #leaving: ReturnType<typeof setTimeout> | undefined;

  constructor(
    http: Http,
    private readonly server: Pick<CameraServer, "cameras">,
    random: () => number,
  ) {
    this.#feed = new EventFeed(
      http,
      "/api/streams/events",
      {
        onMessage: (event, data) => {
          this.#take(event, data);
        },
        onState: (state, failure) => {
          this.#follow(state, failure);
        },
      },
      random,
    );
  }

  readonly snapshot = (): FleetSnapshot => this.#snapshot;

  /** @returns a function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    clearTimeout(this.#leaving);
    if (this.#state === "closed") this.#feed.open();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#leaving = setTimeout(() => {
        this.#feed.close();
      }, LINGER_MS);
    };
  };

  /** Notifies of events that begin or end, while there are subscribers. @returns a function that ends the subscription */
  readonly onEvent = (listener: (event: CameraEvent) => void): (() => void) => {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  };

  /** Tries again at once: the user entered a token, or does not want to wait. */
  retry(): void {
    if (this.#listeners.size > 0) this.#feed.open();
  }

  /** Applies the server's response to a change made here, before the feed reports it, and notifies at once. */
  put(camera: Camera): void {
    this.#see(camera);
    this.#tellNow();
  }

  /** Removes a camera that was removed here, and notifies at once. */
  drop(name: string): void {
    this.#forget(name);
    this.#tellNow();
  }

  #see(camera: Camera): void {
    this.#seen.set(camera.name, { camera, atMs: performance.now() });
    this.#removed.delete(camera.name);
  }

  #forget(name: string): void {
    this.#seen.delete(name);
    this.#removed.add(name);
  }

  #follow(state: FeedState, failure: StreamFailure | null): void {
    this.#state = state;
    if (state !== "connecting") this.#failure = failure;
    if (state === "open") void this.#readAll();
    this.#tell();
  }

  /** Reads the whole list once per connection: removals in between are not reported in any other way. */
  async #readAll(): Promise<void> {
    this.#lists += 1;
    const [list, askedMs] = [this.#lists, performance.now()];
    this.#removed.clear();
    try {
      const cameras = await this.server.cameras();
      if (list !== this.#lists) return; // a later connection requested a newer one
      const atMs = performance.now();
      const newer = [...this.#seen.values()].filter((seen) => seen.atMs >= askedMs);
      this.#seen.clear();
      for (const camera of cameras) if (!this.#removed.has(camera.name)) this.#seen.set(camera.name, { camera, atMs });
      for (const seen of newer) this.#seen.set(seen.camera.name, seen);
      this.#complete = true;
    } catch (error) {
      if (list !== this.#lists) return;
      this.#failure = asFailure(error); // shown while there is no list; the feed may still provide it
    }
    this.#tell();
  }

  #take(event: string, data: unknown): void {
    try {
      if (event === "camera") this.#see(readCamera(data, "camera"));
      if (event === "removed") this.#forget(text(object(data, "removed").name, "removed.name"));
      if (event !== "event") {
        this.#tell();
        return;
      }
      const told = readEvent(data, "event");
      for (const listener of [...this.#eventListeners]) listener(told);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      console.warn(`ignored a message that does not follow the protocol: ${error.message}`);
    }
  }

  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    setTimeout(() => {
      this.#telling = false;
      this.#tellNow();
    }, TELL_MS);
  }

  #tellNow(): void {
    const cameras = [...this.#seen.values()].sort((a, b) => a.camera.name.localeCompare(b.camera.name));
    const known = this.#complete || cameras.length > 0;
    this.#snapshot = { feed: this.#state, failure: this.#failure, cameras: known ? cameras : null, atMs: performance.now() };
    for (const listener of [...this.#listeners]) listener();
  }
}
