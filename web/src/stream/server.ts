/** The server's HTTP routes (docs/protocol.md), with the access token where one is kept. Failures leave as StreamFailure. */

import type { AccessToken } from "./accessToken";
import { StreamFailure } from "./failure";
import { readThresholds, type Thresholds } from "./messages";
import { listOf, number, object, orNull, ShapeError, text, type Read } from "./shape";

/** No route of ours takes longer; without a bound a dead server would leave the page asking for ever. */
const TIMEOUT_MS = 10_000;
const SDP = "application/sdp";
/** Where the server says nothing about when to come back. */
const RETRY_AFTER_S = 5;

export interface Status {
  readonly version: string;
  readonly model: {
    readonly name: string;
    readonly title: string;
    readonly sha256: string;
    readonly thresholds: Thresholds;
    readonly limits: readonly string[];
    readonly terms: string | null;
  };
  readonly windowS: number;
  readonly needed: number;
  readonly staleS: number;
  readonly sessions: number;
  readonly maxSessions: number;
  readonly iceServers: readonly RTCIceServer[];
}

export interface Answer {
  /** Path of the session, for `end`. */
  readonly location: string;
  readonly sdp: string;
}

/** What a check needs of the server; `Server` is the real one. */
export interface CheckServer {
  status(): Promise<Status>;
  offer(sdp: string): Promise<Answer>;
  /** Ends a session; never throws, since a session that nobody feeds ends by itself. */
  end(location: string): Promise<void>;
}

export class Server implements CheckServer {
  constructor(
    private readonly token: AccessToken,
    private readonly fetch: typeof globalThis.fetch,
    private readonly origin: string,
  ) {}

  async status(): Promise<Status> {
    return this.#read("/api/status", readStatus);
  }

  /** The answer of GET /api/models, read by `read`. */
  async models<T>(read: Read<T>): Promise<T> {
    return this.#read("/api/models", read);
  }

  async offer(sdp: string): Promise<Answer> {
    const response = await this.#request("/webrtc/check", { method: "POST", headers: { "Content-Type": SDP, Accept: SDP }, body: sdp });
    const location = new URL(response.headers.get("Location") ?? "", this.origin);
    if (location.origin !== this.origin || !location.pathname.startsWith("/webrtc/check/")) {
      throw new StreamFailure("server-error", `expected the session's Location, received ${location.href}`);
    }
    return { location: location.pathname, sdp: await response.text() };
  }

  async end(location: string): Promise<void> {
    // keepalive: the request outlives the page that is being left.
    await this.#request(location, { method: "DELETE", keepalive: true }).catch(() => undefined);
  }

  async #read<T>(path: string, read: Read<T>): Promise<T> {
    const response = await this.#request(path, { headers: { Accept: "application/json" } });
    try {
      return read(await response.json(), path);
    } catch (error) {
      if (error instanceof ShapeError || error instanceof SyntaxError) throw new StreamFailure("server-error", error.message);
      throw error;
    }
  }

  async #request(path: string, init: Omit<RequestInit, "headers"> & { headers?: Record<string, string> }): Promise<Response> {
    let response: Response;
    try {
      response = await this.fetch(path, {
        ...init,
        headers: { ...init.headers, ...this.token.headers() },
        cache: "no-store",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      throw new StreamFailure("connection-lost", error instanceof Error ? error.message : String(error));
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

async function refusal(response: Response): Promise<StreamFailure> {
  const detail = await problemDetail(response);
  if (response.status === 401) return new StreamFailure("token", detail);
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
    return bare; // no JSON: a proxy between us and the server spoke
  }
}

const readIceServer: Read<RTCIceServer> = (value, where) => {
  const from = object(value, where);
  const username = orNull(text)(from.username, `${where}.username`);
  const credential = orNull(text)(from.credential, `${where}.credential`);
  return {
    urls: [...listOf(text, 16)(from.urls, `${where}.urls`)],
    ...(username === null ? {} : { username }),
    ...(credential === null ? {} : { credential }),
  };
};

export const readStatus: Read<Status> = (value, where) => {
  const from = object(value, where);
  const model = object(from.model, `${where}.model`);
  return {
    version: text(from.version, `${where}.version`),
    model: {
      name: text(model.name, `${where}.model.name`),
      title: text(model.title, `${where}.model.title`),
      sha256: text(model.sha256, `${where}.model.sha256`),
      thresholds: readThresholds(model.thresholds, `${where}.model.thresholds`),
      limits: orNull(listOf(text, 64))(model.limits, `${where}.model.limits`) ?? [],
      terms: orNull(text)(model.terms, `${where}.model.terms`),
    },
    windowS: number(from.window_s, `${where}.window_s`),
    needed: number(from.needed, `${where}.needed`),
    staleS: number(from.stale_s, `${where}.stale_s`),
    sessions: number(from.sessions, `${where}.sessions`),
    maxSessions: number(from.max_sessions, `${where}.max_sessions`),
    iceServers: orNull(listOf(readIceServer, 16))(from.ice_servers, `${where}.ice_servers`) ?? [],
  };
};
