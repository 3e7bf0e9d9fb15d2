/**
 * A live check: sends a source to the server, and receives the annotated video and the results. Independent of the view:
 * use `subscribe` and `snapshot`; snapshots are immutable.
 *
 *     idle, failed, closed --start()--> asking
 *     asking       --source allowed--> connecting           --refused, cancelled--> failed
 *     connecting   --connected--> live    --server full--> waiting    --lost--> reconnecting    --refused--> failed
 *     waiting      --Retry-After elapsed--> connecting      --too often--> failed
 *     live         --lost, bye--> reconnecting              --source ended--> closed or failed    --refused--> failed
 *     reconnecting --connected--> live    --server full--> waiting    --too often, refused--> failed
 *     any of them  --stop()--> closed                       --clear()--> idle
 *
 * The source stays open from connecting to live and is released in failed and closed.
 */

import { backoffMs, MAX_RECONNECTS, pause } from "./backoff";
import { Connection, type ConnectionListener } from "./connection";
import { asFailure, StreamFailure } from "./failure";
import { remember, type Sample } from "./history";
import type { ChallengeAction, CheckResult, Hello, ServerMessage } from "./messages";
import type { CheckServer } from "./server";
import { closeSource, openSource, type Media, type SourceChoice } from "./source";
import type { StreamStats } from "./stats";

export type StreamState = "idle" | "asking" | "connecting" | "waiting" | "live" | "reconnecting" | "failed" | "closed";

/** After a connection that lasted this long, attempts are counted from one again. */
const STEADY_MS = 10_000;
/** Automatic attempts at a full server before the user has to start again. */
const MAX_WAITS = 60;
/** Used until the server has sent its own limit for stale results. */
const STALE_S = 1;

export interface StreamSnapshot {
  readonly state: StreamState;
  /** Time of the snapshot: ms of performance.now(), like all other times here. */
  readonly atMs: number;
  readonly source: SourceChoice["kind"] | null;
  /** The system's name of the open camera; empty for a shared window and without a source. */
  readonly sourceLabel: string;
  /** In `failed`: the reason; in `waiting` and `reconnecting`: the failure to recover from. */
  readonly failure: StreamFailure | null;
  /** Attempts since the connection was lost, from 1; 0 if it was not. */
  readonly attempt: number;
  /** Time of the next attempt. */
  readonly retryAtMs: number | null;
  /** The user stopped sharing in the browser, not on the page. */
  readonly sharingEnded: boolean;
  readonly picture: MediaStream | null;
  readonly hello: Hello | null;
  readonly result: CheckResult | null;
  readonly resultAtMs: number | null;
  /** Time at which the frame of the newest single score reached the server, estimated from its latency. */
  readonly scoredAtMs: number | null;
  /** No result for longer than the server's `stale_s`. */
  readonly stale: boolean;
  readonly history: readonly Sample[];
  /** Round trip of the data channel. */
  readonly roundTripMs: number | null;
  readonly stats: StreamStats | null;
}

export interface StreamEnvironment {
  readonly server: CheckServer;
  readonly media: Media | undefined;
  /** Whether the page may open a camera at all: `isSecureContext`. */
  readonly secure: boolean;
  /** undefined if the browser has no WebRTC */
  readonly createPeer: ((configuration: RTCConfiguration) => RTCPeerConnection) | undefined;
  readonly random: () => number;
}

const NOTHING: Omit<StreamSnapshot, "state" | "atMs" | "history"> = {
  source: null,
  sourceLabel: "",
  failure: null,
  attempt: 0,
  retryAtMs: null,
  sharingEnded: false,
  picture: null,
  hello: null,
  result: null,
  resultAtMs: null,
  scoredAtMs: null,
  stale: false,
  roundTripMs: null,
  stats: null,
};

export class CheckStream {
  readonly #listeners = new Set<() => void>();
  #snapshot: StreamSnapshot = { ...NOTHING, state: "idle", atMs: 0, history: [] };
  #run: AbortController | null = null;
  #source: MediaStream | null = null;
  #connection: Connection | null = null;
  #connections = 0;
  #staleS = STALE_S;
  #staleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly environment: StreamEnvironment) {}

  readonly snapshot = (): StreamSnapshot => this.#snapshot;

  /** @returns a function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Opens the source and checks it until `stop`; stops a running check first. Failures are in the snapshot. */
  async start(choice: SourceChoice): Promise<void> {
    this.stop();
    const run = new AbortController();
    this.#run = run;
    this.#set({ ...NOTHING, state: "asking", source: choice.kind, history: [] });
    try {
      await this.#check(choice, run.signal);
    } catch (error) {
      if (run.signal.aborted) return;
      this.#release();
      this.#set({ ...NOTHING, state: "failed", source: choice.kind, failure: asFailure(error) });
    }
  }

  /** Starts or stops a challenge; ignored while there is no connection. */
  challenge(action: ChallengeAction): void {
    this.#connection?.challenge(action);
  }

  /** Releases the source and ends the session. May be called in any state. */
  stop(): void {
    if (this.#snapshot.state === "idle" || this.#snapshot.state === "closed") return;
    this.#release();
    this.#set({ ...NOTHING, state: "closed" });
  }

  /** Like `stop`, and forgets what was checked. */
  clear(): void {
    this.stop();
    this.#set({ ...NOTHING, state: "idle", history: [] });
  }

  async #check(choice: SourceChoice, signal: AbortSignal): Promise<void> {
    const { createPeer, media, secure } = this.environment;
    const source = await openSource(choice, media, secure);
    if (signal.aborted) {
      closeSource(source); // stopped while the browser was asking for permission
      return;
    }
    this.#source = source;
    this.#watchSource(source, choice);
    if (createPeer === undefined) throw new StreamFailure("unsupported", "this browser has no WebRTC");
    const sourceLabel = choice.kind === "camera" ? (source.getVideoTracks()[0]?.label ?? "") : "";
    this.#set({ state: "connecting", sourceLabel });
    let attempt = 0;
    for (let waits = 0; ;) {
      let liveMs = Number.POSITIVE_INFINITY;
      let failure: StreamFailure;
      try {
        failure = await this.#converse(source, createPeer, signal, () => {
          liveMs = performance.now();
        });
        if (performance.now() - liveMs > STEADY_MS) attempt = waits = 0;
      } catch (error) {
        failure = asFailure(error);
      }
      signal.throwIfAborted();
      if (failure.code === "server-full" && waits < MAX_WAITS) {
        waits += 1;
        await this.#rest("waiting", failure, attempt, (failure.retryAfterS ?? 1) * 1000, signal);
        this.#set({ state: "connecting", failure: null, retryAtMs: null });
      } else if (failure.code === "connection-lost" && attempt < MAX_RECONNECTS) {
        attempt += 1;
        await this.#rest("reconnecting", failure, attempt, backoffMs(attempt, this.environment.random()), signal);
      } else throw failure;
    }
  }

  async #rest(state: "waiting" | "reconnecting", failure: StreamFailure, attempt: number, ms: number, signal: AbortSignal): Promise<void> {
    this.#set({ state, failure, attempt, retryAtMs: performance.now() + ms, roundTripMs: null, stats: null });
    await pause(ms, signal);
  }

  /** One connection, from the offer to its loss. @returns why it was lost */
  async #converse(
    source: MediaStream,
    createPeer: NonNullable<StreamEnvironment["createPeer"]>,
    signal: AbortSignal,
    onLive: () => void,
  ): Promise<StreamFailure> {
    const { server } = this.environment;
    const status = await server.status();
    signal.throwIfAborted();
    this.#staleS = status.staleS;
    this.#connections += 1;
    const connection = new Connection(
      createPeer({ iceServers: [...status.iceServers] }),
      source,
      server,
      this.#listener(),
      this.#snapshot.sourceLabel,
    );
    this.#connection = connection;
    try {
      await connection.open();
      signal.throwIfAborted();
      onLive();
      this.#set({
        state: "live",
        failure: null,
        attempt: 0,
        retryAtMs: null,
        result: null,
        resultAtMs: null,
        scoredAtMs: null,
        stale: false,
      });
      this.#awaitResult(this.#staleS * 1000);
      return await connection.lost;
    } finally {
      connection.close();
      if (this.#connection === connection) this.#connection = null;
    }
  }

  #listener(): ConnectionListener {
    return {
      onPicture: (picture) => {
        this.#set({ picture });
      },
      onMessage: (message) => {
        this.#take(message);
      },
      onRoundTrip: (roundTripMs) => {
        this.#set({ roundTripMs });
      },
      onStats: (stats) => {
        this.#set({ stats });
      },
    };
  }

  #take(message: ServerMessage): void {
    if (message.type === "hello") this.#set({ hello: message.value });
    if (message.type !== "result") return;
    const result = message.value;
    const now = performance.now();
    const scored = result.faces.some((face) => face.score !== null);
    const freshMs = this.#staleS * 1000 - result.latencyMs;
    this.#set({
      result,
      resultAtMs: now,
      scoredAtMs: scored ? now - result.latencyMs : this.#snapshot.scoredAtMs,
      stale: freshMs <= 0,
      history: remember(this.#snapshot.history, result, now / 1000, this.#connections),
    });
    this.#awaitResult(freshMs);
  }

  #awaitResult(freshMs: number): void {
    clearTimeout(this.#staleTimer);
    this.#staleTimer = setTimeout(() => {
      this.#set({ stale: true });
    }, freshMs);
  }

  /** The camera was unplugged, or the user stopped sharing in the browser. */
  #watchSource(source: MediaStream, choice: SourceChoice): void {
    source.getVideoTracks()[0]?.addEventListener("ended", () => {
      if (this.#source !== source) return;
      this.#release();
      if (choice.kind === "screen") this.#set({ ...NOTHING, state: "closed", sharingEnded: true });
      else
        this.#set({
          ...NOTHING,
          state: "failed",
          source: "camera",
          failure: new StreamFailure("no-camera", "the camera was disconnected"),
        });
    });
  }

  #release(): void {
    clearTimeout(this.#staleTimer);
    this.#run?.abort();
    this.#run = null;
    this.#connection?.close();
    this.#connection = null;
    if (this.#source !== null) closeSource(this.#source);
    this.#source = null;
  }

  #set(change: Partial<StreamSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change, atMs: performance.now() };
    for (const listener of [...this.#listeners]) listener();
  }
}
