/** HTTP requests to the server, with the access token if there is one. Responses are checked; failures are StreamFailure. */

import type { AccessToken } from "./accessToken";
import { StreamFailure } from "./failure";
import { object, orNull, ShapeError, text, type Read } from "./shape";

/** Few routes take longer; without a limit, the page would wait for a dead server forever. */
const TIMEOUT_MS = 10_000;
const SDP = "application/sdp";
/** Used if the server does not send Retry-After. */
const RETRY_AFTER_S = 5;

export interface Answer {
  /** Path of the session, for `end`. */
  readonly location: string;
  readonly sdp: string;
}

export interface Asking {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** The request continues after the page is closed. */
  readonly keepalive?: boolean;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export class Http {
  /** Called when the server refuses our credentials, or requires some. */
  onUnauthorized: (() => void) | null = null;

  constructor(
    private readonly token: AccessToken,
    private readonly fetch: typeof globalThis.fetch,
    /** URL of the page: the routes are next to it, at the root or below a proxy's path. */
    private readonly page: string,
  ) {}

  get sendsToken(): boolean {
    return this.token.value !== null;
  }

  /** The URL of a route, for elements that load it themselves. */
  address(path: string): string {
    return addressOf(path, this.page);
  }

  /** GETs JSON and parses it with `read`. */
  async read<T>(path: string, read: Read<T>, asking: Asking = {}): Promise<T> {
    const response = await this.request(path, { ...asking, headers: { Accept: "application/json", ...asking.headers } });
    try {
      return read(await response.json(), path);
    } catch (error) {
      if (error instanceof ShapeError || error instanceof SyntaxError) throw new StreamFailure("server-error", error.message);
      throw error;
    }
  }

  /** Sends `body` as JSON and parses the response. */
  async send<T>(method: "POST" | "PUT" | "PATCH", path: string, body: unknown, read: Read<T>, asking: Asking = {}): Promise<T> {
    return this.read(path, read, {
      ...asking,
      method,
      ...(body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
  }

  /** Sends `body` as JSON to a route without a response body. */
  async change(method: "PUT", path: string, body: unknown): Promise<void> {
    await this.request(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  /** Sends an SDP offer to a route, which creates a session below it. */
  async offer(path: string, sdp: string, query = new URLSearchParams()): Promise<Answer> {
    const response = await this.request(query.size === 0 ? path : `${path}?${query}`, {
      method: "POST",
      headers: { "Content-Type": SDP, Accept: SDP },
      body: sdp,
    });
    const location = new URL(response.headers.get("Location") ?? "", this.page);
    const route = new URL(path, location.origin).pathname;
    // A proxy below a path may or may not have prepended it.
    const below = new URL(addressOf(path, this.page)).pathname;
    const rest = [`${below}/`, `${route}/`].find((place) => location.pathname.startsWith(place));
    if (location.origin !== new URL(this.page).origin || rest === undefined) {
      throw new StreamFailure("server-error", `expected the session's Location, received ${location.href}`);
    }
    return { location: `${path}/${location.pathname.slice(rest.length)}`, sdp: await response.text() };
  }

  /** Ends a session; never throws, because an unused session ends by itself. */
  async end(location: string): Promise<void> {
    await this.request(location, { method: "DELETE", keepalive: true }).catch(() => undefined);
  }

  /** The body of a response that does not end by itself; only its beginning has a time limit. */
  async open(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
    }, TIMEOUT_MS);
    try {
      const either = AbortSignal.any([signal, late.signal]);
      const response = await this.#fetch(path, { headers: { Accept: "text/event-stream" } }, either);
      if (response.body === null) throw new StreamFailure("server-error", `expected a stream at ${path}`);
      return response.body;
    } finally {
      clearTimeout(timer);
    }
  }

  async request(path: string, { timeoutMs = TIMEOUT_MS, signal, ...asking }: Asking = {}): Promise<Response> {
    const late = AbortSignal.timeout(timeoutMs);
    return this.#fetch(path, asking, signal === undefined ? late : AbortSignal.any([signal, late]));
  }

  async #fetch(path: string, asking: Omit<Asking, "timeoutMs" | "signal">, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await this.fetch(addressOf(path, this.page), {
        ...asking,
        headers: { ...asking.headers, ...this.token.headers() },
        cache: "no-store",
        signal,
      });
    } catch (error) {
      // The browser's own words ("Failed to fetch") mean nothing to people, and differ from browser to browser.
      const late = error instanceof Error && error.name === "TimeoutError";
      throw new StreamFailure("connection-lost", late ? "the server did not answer in time" : "the server does not answer");
    }
    if (response.status === 401 && !path.startsWith("/api/session") && path !== "/api/me") this.onUnauthorized?.();
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

/** The URL of a route: "/api/status" of a page at https://host/below/ is https://host/below/api/status. */
export function addressOf(path: string, page: string): string {
  return new URL(`.${path}`, page).href;
}

/** Converts an error response. */
export async function refusal(response: Response): Promise<StreamFailure> {
  const detail = await problemDetail(response);
  if (response.status === 401) return new StreamFailure("token", detail);
  if (response.status === 404) return new StreamFailure("not-found", detail);
  if (response.status === 503) {
    const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
    return new StreamFailure("server-full", detail, seconds > 0 ? Math.min(seconds, 300) : RETRY_AFTER_S);
  }
  return new StreamFailure("server-error", detail);
}

/** The detail of an RFC 9457 problem, or the bare status line. */
async function problemDetail(response: Response): Promise<string> {
  const bare = `the server answered ${response.status} ${response.statusText}`.trim();
  try {
    const problem = object(await response.json(), "problem");
    return orNull(text)(problem.detail, "problem.detail") ?? orNull(text)(problem.title, "problem.title") ?? bare;
  } catch {
    return bare; // no JSON: the response is from a proxy
  }
}
