/** Routes for live checks, their records and the models (docs/protocol.md). Failures are StreamFailure. */

import { readChecks, type ChecksPage } from "./checks";
import type { Answer, Http } from "./http";
import type { Read } from "./shape";
import { body, type Wire } from "./wire";

/** Maximum length of a camera's name that the server accepts. */
const MOST_LABEL = 128;

export interface Status extends Omit<Wire<"StatusBody">, "iceServers"> {
  readonly iceServers: readonly RTCIceServer[];
}

/** The nodes that share the cameras; none without a cluster. */
export type Cluster = Wire<"ClusterBody">;
export type ClusterNode = Cluster["nodes"][number];

/** What a check needs of the server; `Server` implements it. */
export interface CheckServer {
  status(): Promise<Status>;
  /** @param sourceLabel the system's name of the camera; empty for a shared window */
  offer(sdp: string, sourceLabel: string): Promise<Answer>;
  /** Ends a session; never throws, because an unused session ends by itself. */
  end(location: string): Promise<void>;
}

export class Server implements CheckServer {
  constructor(private readonly http: Http) {}

  async status(): Promise<Status> {
    return this.http.read("/api/status", readStatus);
  }

  /** The response of GET /api/models, parsed by `read`. */
  async models<T>(read: Read<T>): Promise<T> {
    return this.http.read("/api/models", read);
  }

  async cluster(): Promise<Cluster> {
    return this.http.read("/api/cluster", body("ClusterBody"));
  }

  async offer(sdp: string, sourceLabel: string): Promise<Answer> {
    const label = sourceLabel.slice(0, MOST_LABEL);
    return this.http.offer("/webrtc/check", sdp, new URLSearchParams(label === "" ? {} : { source_label: label }));
  }

  /** @param cursor `next` of the previous page; null for the newest */
  async checks(cursor: string | null): Promise<ChecksPage> {
    return this.http.read(`/api/checks${cursor === null ? "" : `?${new URLSearchParams({ cursor })}`}`, readChecks);
  }

  async deleteCheck(id: string): Promise<void> {
    await this.http.request(`/api/checks/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  async end(location: string): Promise<void> {
    return this.http.end(location);
  }
}

/** RTCPeerConnection does not accept null for an unused username or credential. */
export const readStatus: Read<Status> = (value, where) => {
  const status = body("StatusBody")(value, where);
  const iceServers = status.iceServers.map(({ urls, username, credential }) => ({
    urls: [...urls],
    ...(username === null ? {} : { username }),
    ...(credential === null ? {} : { credential }),
  }));
  return { ...status, iceServers };
};
