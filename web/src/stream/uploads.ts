/**
 * Uploads files to the server, one after the other, with XMLHttpRequest, because `fetch` does not report the progress.
 * Independent of the view: use `subscribe` and `snapshot`. Uploads continue when another page is opened.
 *
 *     waiting  --its turn--> sending --last byte sent--> handing_over --accepted--> (gone: reported as an analysis)
 *     sending, handing_over --refused, unreachable--> failed --retry()--> waiting
 *     any of them --drop(), clear()--> (gone)
 */

import type { AccessToken } from "./accessToken";
import { readSubmitted, type Analysis } from "./analyses";
import { asFailure, StreamFailure } from "./failure";
import { addressOf, refusal } from "./http";
import { ShapeError } from "./shape";

const ROUTE = "/api/analyses";
/** A connection that transfers nothing for this long is dead. */
const SILENCE_MS = 60_000;
/**
 * How long the server may take to write and compare a sent file, and a proxy to pass it on: 2 GB take some minutes over
 * a slow link between them.
 */
const HANDING_OVER_MS = 900_000;
/** The upload rate is averaged over about this time. */
const RATE_OVER_S = 4;

export type UploadState = "waiting" | "sending" | "handing_over" | "failed";

export interface Upload {
  readonly id: number;
  readonly file: File;
  readonly models: readonly string[];
  readonly state: UploadState;
  readonly sentBytes: number;
  /** estimated remaining time; null if unknown */
  readonly etaS: number | null;
  readonly failure: StreamFailure | null;
}

export class Uploads {
  readonly #listeners = new Set<() => void>();
  readonly #analysisListeners = new Set<(analysis: Analysis) => void>();
  #uploads: readonly Upload[] = [];
  #ids = 0;
  #running: { readonly id: number; readonly request: XMLHttpRequest } | null = null;

  constructor(
    private readonly token: AccessToken,
    private readonly createRequest: () => XMLHttpRequest,
    private readonly page: string,
  ) {}

  readonly snapshot = (): readonly Upload[] => this.#uploads;

  /** @returns a function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Notifies of each file that the server has accepted. @returns a function that ends the subscription */
  readonly onAnalysis = (listener: (analysis: Analysis) => void): (() => void) => {
    this.#analysisListeners.add(listener);
    return () => this.#analysisListeners.delete(listener);
  };

  /** Notifies of analyses that were not created by an upload in the same way. */
  tell(analyses: readonly Analysis[]): void {
    for (const analysis of analyses) for (const listener of [...this.#analysisListeners]) listener(analysis);
  }

  /** @param models names of the bundles to judge by */
  add(files: readonly File[], models: readonly string[]): void {
    const fresh = files.map((file): Upload => {
      this.#ids += 1;
      return { id: this.#ids, file, models, state: "waiting", sentBytes: 0, etaS: null, failure: null };
    });
    this.#set([...this.#uploads, ...fresh]);
    this.#next();
  }

  /** Removes a file from the list; an upload in progress is aborted, and the server keeps nothing of it. */
  drop(id: number): void {
    this.#set(this.#uploads.filter((upload) => upload.id !== id));
    if (this.#running?.id !== id) return;
    this.#running.request.abort();
    this.#running = null;
    this.#next();
  }

  /** Removes all files, as `drop` does one, when the user signs out. */
  clear(): void {
    const running = this.#running;
    this.#running = null;
    this.#set([]);
    running?.request.abort();
  }

  retry(id: number): void {
    this.#change(id, { state: "waiting", sentBytes: 0, etaS: null, failure: null });
    this.#next();
  }

  #next(): void {
    if (this.#running !== null) return;
    const upload = this.#uploads.find(({ state }) => state === "waiting");
    if (upload !== undefined) void this.#run(upload);
  }

  async #run(upload: Upload): Promise<void> {
    const request = this.createRequest();
    const run = { id: upload.id, request };
    this.#running = run;
    this.#change(upload.id, { state: "sending" });
    try {
      const analyses = await this.#send(upload, request);
      if (this.#running !== run) return;
      this.#set(this.#uploads.filter(({ id }) => id !== upload.id));
      this.tell(analyses);
    } catch (error) {
      if (this.#running !== run) return; // dropped
      this.#change(upload.id, { state: "failed", etaS: null, failure: asFailure(error) });
    }
    this.#running = null;
    this.#next();
  }

  #send({ id, file, models }: Upload, request: XMLHttpRequest): Promise<readonly Analysis[]> {
    const form = new FormData();
    for (const model of models) form.append("model", model);
    form.append("file", file);
    const rate = new SendingRate(performance.now());
    return new Promise((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const lost = (detail: string) => () => {
        clearTimeout(timer);
        reject(new StreamFailure("connection-lost", detail));
      };
      const expect = (withinMs: number, detail: string): void => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          lost(detail)();
          request.abort();
        }, withinMs);
      };
      const heard = (): void => {
        expect(SILENCE_MS, `nothing was sent for ${SILENCE_MS / 1000} s`);
      };
      request.upload.onprogress = ({ loaded, total }) => {
        heard();
        this.#change(id, { sentBytes: Math.min(loaded, file.size), etaS: rate.etaS(loaded, total, performance.now()) });
      };
      request.upload.onload = () => {
        expect(
          HANDING_OVER_MS,
          `the server did not answer within ${HANDING_OVER_MS / 60_000} minutes after the last byte; it may have the file: look at the list before you send it again`,
        );
        this.#change(id, { state: "handing_over", sentBytes: file.size, etaS: null });
      };
      request.onerror = lost("the connection was lost while the file was being sent; the file may be larger than the server accepts");
      request.onabort = lost("the upload was aborted");
      request.onload = () => {
        clearTimeout(timer);
        taken(request).then(resolve, reject);
      };
      request.open("POST", addressOf(ROUTE, this.page));
      request.setRequestHeader("Accept", "application/json");
      for (const [name, value] of Object.entries(this.token.headers())) request.setRequestHeader(name, value);
      heard();
      request.send(form);
    });
  }

  #change(id: number, change: Partial<Upload>): void {
    this.#set(this.#uploads.map((upload) => (upload.id === id ? { ...upload, ...change } : upload)));
  }

  #set(uploads: readonly Upload[]): void {
    this.#uploads = uploads;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Upload rate, for the remaining time. Times are ms of a monotonic clock. */
export class SendingRate {
  #bytes = 0;
  #atMs: number;
  #perS: number | null = null;

  constructor(beganMs: number) {
    this.#atMs = beganMs;
  }

  /** @returns the remaining seconds; null while nothing was sent */
  etaS(sentBytes: number, totalBytes: number, nowMs: number): number | null {
    const lengthS = (nowMs - this.#atMs) / 1000;
    if (lengthS > 0) {
      const perS = (sentBytes - this.#bytes) / lengthS;
      const weight = 1 - Math.exp(-lengthS / RATE_OVER_S);
      this.#perS = this.#perS === null ? perS : this.#perS + weight * (perS - this.#perS);
      this.#bytes = sentBytes;
      this.#atMs = nowMs;
    }
    return this.#perS === null || this.#perS <= 0 ? null : Math.max(0, totalBytes - sentBytes) / this.#perS;
  }
}

async function taken(request: XMLHttpRequest): Promise<readonly Analysis[]> {
  if (request.status < 200 || request.status >= 300) {
    const headers = new Headers();
    const retryAfter = request.getResponseHeader("Retry-After");
    if (retryAfter !== null) headers.set("Retry-After", retryAfter);
    const { status, statusText } = request;
    throw await refusal(new Response(request.responseText, { status, statusText, headers }));
  }
  try {
    return readSubmitted(JSON.parse(request.responseText), ROUTE);
  } catch (error) {
    if (error instanceof ShapeError || error instanceof SyntaxError) throw new StreamFailure("server-error", error.message);
    throw error;
  }
}
