/**
 * All cameras as they are now, by one connection to the server however many there are. Knows no view: it is watched by
 * `subscribe` and read by `snapshot`, and follows the server only while somebody watches.
 */

import type { CameraServer } from "./cameraServer";
import { readCamera, type Camera } from "./cameras";
import { EventFeed, type FeedState } from "./eventFeed";
import { readEvent, type CameraEvent } from "./events";
import { asFailure, type StreamFailure } from "./failure";
import type { Http } from "./http";
import { object, ShapeError, text } from "./shape";

/** Fifty cameras tell of themselves fifty times a second: the watchers are told of all of them together. */
const TELL_MS = 250;
/** From one page to the next the connection is kept. */
const LINGER_MS = 2_000;

export interface SeenCamera {
  readonly camera: Camera;
  /** When it was told: ms of performance.now(). */
  readonly atMs: number;
}

export interface FleetSnapshot {
  readonly feed: FeedState;
  /** In `waiting` and `refused` why. */
  readonly failure: StreamFailure | null;
  /** By name; null before the first answer. */
  readonly cameras: readonly SeenCamera[] | null;
  /** When this was taken: ms of performance.now(). */
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

  /** @returns the function that ends the subscription */
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

  /** Tells of events that begin or end, while somebody watches. @returns the function that ends it */
  readonly onEvent = (listener: (event: CameraEvent) => void): (() => void) => {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  };

  /** Asks again at once: the person gave a token, or does not want to wait. */
  retry(): void {
    if (this.#listeners.size > 0) this.#feed.open();
  }

  /** What the server answered to a change that was made here, before the feed tells of it. Watchers are told at once. */
  put(camera: Camera): void {
    this.#see(camera);
    this.#tellNow();
  }

  /** A camera that was removed here. Watchers are told at once. */
  drop(name: string): void {
    this.#seen.delete(name);
    this.#tellNow();
  }

  #see(camera: Camera): void {
    this.#seen.set(camera.name, { camera, atMs: performance.now() });
  }

  #follow(state: FeedState, failure: StreamFailure | null): void {
    this.#state = state;
    if (state !== "connecting") this.#failure = failure;
    if (state === "open") void this.#readAll();
    this.#tell();
  }

  /** The whole list once for each connection: what was removed while there was none is told by nothing else. */
  async #readAll(): Promise<void> {
    try {
      const cameras = await this.server.cameras();
      const atMs = performance.now();
      this.#seen.clear();
      for (const camera of cameras) this.#seen.set(camera.name, { camera, atMs });
      this.#complete = true;
    } catch (error) {
      this.#failure = asFailure(error); // shown while there is no list; the feed may still fill it
    }
    this.#tell();
  }

  #take(event: string, data: unknown): void {
    try {
      if (event === "camera") this.#see(readCamera(data, "camera"));
      if (event === "removed") this.#seen.delete(text(object(data, "removed").name, "removed.name"));
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
