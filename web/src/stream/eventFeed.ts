/**
 * A stream of server-sent events that reconnects by itself. It uses `fetch`, because the browser's EventSource cannot
 * send an access token.
 *
 *     closed     --open()--> connecting
 *     connecting --response--> open    --unreachable--> waiting    --token required, not found--> refused
 *     open       --ended, silent--> waiting
 *     waiting    --pause over--> connecting
 *     any of them --close()--> closed
 *
 * It never gives up: a wall of cameras may be unattended overnight.
 */

import { createParser } from "eventsource-parser";
import { backoffMs, pause } from "./backoff";
import { asFailure, StreamFailure } from "./failure";
import type { Http } from "./http";

export type FeedState = "closed" | "connecting" | "open" | "waiting" | "refused";

/** The server sends at least a comment every 15 s. */
const SILENCE_MS = 40_000;
/** Much longer than any message of the server. */
const MOST_CHARACTERS = 1_000_000;
/** After a stream that lasted this long, attempts are counted from one again. */
const STEADY_MS = 10_000;

export interface FeedListener {
  /** @param data the parsed JSON */
  onMessage(event: string, data: unknown): void;
  onState(state: FeedState, failure: StreamFailure | null): void;
}

export class EventFeed {
  #run: AbortController | null = null;

  constructor(
    private readonly http: Http,
    private readonly path: string,
    private readonly listener: FeedListener,
    private readonly random: () => number,
  ) {}

  open(): void {
    this.#run?.abort();
    const run = new AbortController();
    this.#run = run;
    void this.#follow(run.signal);
  }

  close(): void {
    if (this.#run === null) return;
    this.#run.abort();
    this.#run = null;
    this.listener.onState("closed", null);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      let failure: StreamFailure;
      let openMs = Number.POSITIVE_INFINITY;
      try {
        this.listener.onState("connecting", null);
        const body = await this.http.open(this.path, signal);
        openMs = performance.now();
        await this.#read(body, signal);
        failure = new StreamFailure("connection-lost", "the server ended the stream");
      } catch (error) {
        failure = asFailure(error);
      }
      if (signal.aborted) return;
      if (failure.code === "token" || failure.code === "not-found") {
        this.listener.onState("refused", failure);
        return;
      }
      if (performance.now() - openMs > STEADY_MS) attempt = 1;
      this.listener.onState("waiting", failure);
      try {
        await pause(failure.retryAfterS === null ? backoffMs(attempt, this.random()) : failure.retryAfterS * 1000, signal);
      } catch {
        return; // closed in the meantime
      }
    }
  }

  async #read(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
    const reader = body.getReader();
    const decoder = new TextDecoder();
    const tooLong: StreamFailure[] = [];
    const messages = createParser({
      maxBufferSize: MOST_CHARACTERS,
      onEvent: ({ event = "message", data }) => {
        this.#hand(event, data);
      },
      onError: ({ type }) => {
        if (type !== "max-buffer-size-exceeded") return;
        tooLong.push(new StreamFailure("server-error", `a message of ${this.path} has more than ${MOST_CHARACTERS} characters`));
      },
    });
    // The stream may already have failed; then there is nothing to cancel.
    const end = (): void => void reader.cancel().catch(() => undefined);
    signal.addEventListener("abort", end, { once: true });
    this.listener.onState("open", null);
    try {
      for (;;) {
        const { done, value } = await withinSilence(reader.read());
        if (done || signal.aborted) return;
        messages.feed(decoder.decode(value, { stream: true }));
        if (tooLong[0] !== undefined) throw tooLong[0];
      }
    } finally {
      signal.removeEventListener("abort", end);
      end();
    }
  }

  #hand(event: string, data: string): void {
    let parsed: unknown;
    try {
      parsed = JSON.parse(data);
    } catch {
      console.warn(`ignored a message of ${this.path} that is not JSON`);
      return;
    }
    this.listener.onMessage(event, parsed);
  }
}

async function withinSilence<T>(reading: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silent = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new StreamFailure("connection-lost", `nothing was heard from the server for ${SILENCE_MS / 1000} s`));
    }, SILENCE_MS);
  });
  try {
    return await Promise.race([reading, silent]);
  } finally {
    clearTimeout(timer);
  }
}
