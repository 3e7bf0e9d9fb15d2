/**
 * The live picture of one camera at a time, by WHEP. Independent of the view: use `subscribe` and `snapshot`; snapshots
 * are immutable.
 *
 *     idle       --play(camera)--> connecting
 *     connecting --connected--> playing    --lost, server full--> waiting    --refused--> failed
 *     playing    --lost--> waiting
 *     waiting    --pause over--> connecting    --too often--> failed
 *     any of them --play(another)--> connecting    --stop()--> idle
 *
 * Each connection is ended on both sides before the next one is opened.
 */

import { backoffMs, MAX_RECONNECTS, pause } from "./backoff";
import { asFailure, StreamFailure } from "./failure";
import type { Http } from "./http";
import { PeerLink } from "./peerLink";

export type PlayerState = "idle" | "connecting" | "playing" | "waiting" | "failed";

/** After a connection that lasted this long, attempts are counted from one again. */
const STEADY_MS = 10_000;

export interface PlayerSnapshot {
  readonly state: PlayerState;
  /** Name of the camera; null in `idle`. */
  readonly camera: string | null;
  readonly picture: MediaStream | null;
  /** In `failed`: the reason; in `waiting`: the failure to recover from. */
  readonly failure: StreamFailure | null;
  /** Time of the next attempt: ms of performance.now(). */
  readonly retryAtMs: number | null;
}

export interface PlayerEnvironment {
  readonly http: Pick<Http, "offer" | "end">;
  readonly iceServers: () => Promise<readonly RTCIceServer[]>;
  /** undefined if the browser has no WebRTC */
  readonly createPeer: ((configuration: RTCConfiguration) => RTCPeerConnection) | undefined;
  readonly random: () => number;
}

const IDLE: PlayerSnapshot = { state: "idle", camera: null, picture: null, failure: null, retryAtMs: null };

export class WhepPlayer {
  readonly #listeners = new Set<() => void>();
  #snapshot = IDLE;
  #run: AbortController | null = null;
  #runs: Promise<unknown> = Promise.resolve();

  constructor(private readonly environment: PlayerEnvironment) {}

  readonly snapshot = (): PlayerSnapshot => this.#snapshot;

  /** @returns a function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Plays this camera until `stop`, instead of any other. Failures are in the snapshot. */
  play(camera: string): void {
    this.#run?.abort();
    const run = new AbortController();
    this.#run = run;
    this.#set({ ...IDLE, state: "connecting", camera });
    this.#runs = Promise.all([this.#runs, this.#follow(camera, run.signal)]);
  }

  stop(): void {
    if (this.#run === null) return;
    this.#run.abort();
    this.#run = null;
    this.#set(IDLE);
  }

  /** Like `stop`, and waits until the server has ended the session too. */
  async end(): Promise<void> {
    this.stop();
    await this.#runs;
  }

  async #follow(camera: string, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      let playingMs = Number.POSITIVE_INFINITY;
      let failure: StreamFailure;
      try {
        const why = await this.#watch(camera, signal, () => {
          playingMs = performance.now();
        });
        failure = new StreamFailure("connection-lost", why);
      } catch (error) {
        failure = asFailure(error);
      }
      if (signal.aborted) return;
      if (performance.now() - playingMs > STEADY_MS) attempt = 1;
      const passes = failure.code === "connection-lost" || failure.code === "server-full";
      if (!passes || attempt > MAX_RECONNECTS) {
        this.#set({ ...IDLE, state: "failed", camera, failure });
        return;
      }
      const ms = failure.retryAfterS === null ? backoffMs(attempt, this.environment.random()) : failure.retryAfterS * 1000;
      this.#set({ ...IDLE, state: "waiting", camera, failure, retryAtMs: performance.now() + ms });
      try {
        await pause(ms, signal);
      } catch {
        return; // stopped in the meantime
      }
      this.#set({ ...IDLE, state: "connecting", camera });
    }
  }

  /** One connection, from the offer to its loss. @returns why it was lost */
  async #watch(camera: string, signal: AbortSignal, onPlaying: () => void): Promise<string> {
    const { createPeer, http, iceServers } = this.environment;
    if (createPeer === undefined) throw new StreamFailure("unsupported", "this browser has no WebRTC");
    const servers = await iceServers();
    signal.throwIfAborted();
    const link = new PeerLink(createPeer({ iceServers: [...servers] }));
    const { peer } = link;
    const onAbort = (): void => {
      link.lose("stopped");
    };
    signal.addEventListener("abort", onAbort);
    let location: string | null = null;
    let picture: MediaStream | null = null;
    try {
      peer.addTransceiver("video", { direction: "recvonly" });
      peer.ontrack = ({ track }) => {
        picture = new MediaStream([track]);
      };
      const offer = await link.offer();
      signal.throwIfAborted();
      const answer = await http.offer(`/whep/${encodeURIComponent(camera)}`, offer);
      location = answer.location;
      signal.throwIfAborted();
      await link.connect(answer.sdp);
      signal.throwIfAborted();
      onPlaying();
      this.#set({ ...IDLE, state: "playing", camera, picture });
      return await link.lost;
    } finally {
      signal.removeEventListener("abort", onAbort);
      link.close();
      // The session first: a server that sees the peer disconnect ends the session itself, and the request would fail.
      if (location !== null) await http.end(location);
      peer.close();
    }
  }

  #set(snapshot: PlayerSnapshot): void {
    this.#snapshot = snapshot;
    for (const listener of [...this.#listeners]) listener();
  }
}
