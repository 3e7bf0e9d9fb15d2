/** The server's routes of the live check and the models (docs/protocol.md). Failures leave as StreamFailure. */

import type { Answer, Http } from "./http";
import { readThresholds, type Thresholds } from "./messages";
import { flag, listOf, number, object, orNull, text, type Read } from "./shape";

/** Characters of a camera's name that the server takes. */
const MOST_LABEL = 128;

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
  /** Whether the server fetches files from addresses, to analyse them. */
  readonly reviewUrls: boolean;
  /** What does not work now, in sentences. */
  readonly problems: readonly string[];
}

/** What a check needs of the server; `Server` is the real one. */
export interface CheckServer {
  status(): Promise<Status>;
  /** @param sourceLabel the name that the system gives the camera; empty for a shared window */
  offer(sdp: string, sourceLabel: string): Promise<Answer>;
  /** Ends a session; never throws, since a session that nobody feeds ends by itself. */
  end(location: string): Promise<void>;
}

export class Server implements CheckServer {
  constructor(private readonly http: Http) {}

  async status(): Promise<Status> {
    return this.http.read("/api/status", readStatus);
  }

  /** The answer of GET /api/models, read by `read`. */
  async models<T>(read: Read<T>): Promise<T> {
    return this.http.read("/api/models", read);
  }

  async offer(sdp: string, sourceLabel: string): Promise<Answer> {
    const label = sourceLabel.slice(0, MOST_LABEL);
    return this.http.offer("/webrtc/check", sdp, new URLSearchParams(label === "" ? {} : { source_label: label }));
  }

  async end(location: string): Promise<void> {
    return this.http.end(location);
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
    reviewUrls: orNull(flag)(from.review_urls, `${where}.review_urls`) ?? false,
    problems: orNull(listOf(text, 64))(from.problems, `${where}.problems`) ?? [],
  };
};
