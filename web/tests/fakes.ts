/** Stand-ins for what a browser and a server give to a live check; each is driven by the test. */

import { StreamFailure } from "../src/stream/failure";
import type { StreamEnvironment } from "../src/stream/checkStream";
import type { Answer } from "../src/stream/http";
import type { CheckServer, Status } from "../src/stream/server";
import type { Media } from "../src/stream/source";

export const THRESHOLDS = { fakeEnter: 0.8, fakeLeave: 0.6, realEnter: 0.2, realLeave: 0.4 };

export const STATUS: Status = {
  version: "0.1.0",
  model: { name: "meso4", title: "Meso4", sha256: "ab".repeat(32), thresholds: THRESHOLDS, limits: ["Blur misleads it."], terms: "" },
  windowS: 10,
  needed: 12,
  staleS: 1,
  sessions: 0,
  maxSessions: 4,
  iceServers: [],
  reviewUrls: false,
  problems: [],
};

/** The same as the server writes it, with ICE servers. */
export const WIRE_STATUS = {
  version: "0.1.0",
  model: {
    name: "meso4",
    title: "Meso4",
    sha256: "ab",
    terms: "Apache-2.0",
    limits: ["Blur misleads it."],
    thresholds: { fake_enter: 0.8, fake_leave: 0.6, real_enter: 0.2, real_leave: 0.4 },
  },
  window_s: 10,
  needed: 12,
  stale_s: 1,
  sessions: 0,
  max_sessions: 4,
  ice_servers: [
    { urls: ["turn:a"], username: "u", credential: "c" },
    { urls: ["stun:b"], username: null, credential: null },
  ],
  review_urls: false,
  problems: [],
};

export class FakeTrack extends EventTarget {
  readonly kind = "video";
  label = "Integrated Camera";
  stopped = false;

  stop(): void {
    this.stopped = true;
  }
}

export class FakeSource {
  readonly track = new FakeTrack();

  getTracks(): FakeTrack[] {
    return [this.track];
  }

  getVideoTracks(): FakeTrack[] {
    return [this.track];
  }
}

export class FakeChannel {
  readyState = "connecting";
  readonly sent: string[] = [];
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  send(text: string): void {
    this.sent.push(text);
  }

  receive(type: string, value: unknown): void {
    this.onmessage?.({ data: JSON.stringify({ type, value }) });
  }
}

export class FakePeer {
  readonly channel = new FakeChannel();
  readonly directions: string[] = [];
  connectionState = "new";
  iceGatheringState = "new";
  localDescription: { sdp: string } | null = null;
  answer: string | null = null;
  closed = false;
  onconnectionstatechange: (() => void) | null = null;
  onicegatheringstatechange: (() => void) | null = null;
  ontrack: unknown = null;

  constructor(readonly configuration: RTCConfiguration) {}

  addTransceiver(_track: unknown, init: { direction: string }): void {
    this.directions.push(init.direction);
  }

  createDataChannel(): FakeChannel {
    return this.channel;
  }

  setLocalDescription(): Promise<void> {
    this.localDescription = { sdp: "offer" };
    this.iceGatheringState = "complete";
    return Promise.resolve();
  }

  setRemoteDescription(answer: { sdp: string }): Promise<void> {
    if (this.closed) return Promise.reject(new DOMException("closed", "InvalidStateError"));
    this.answer = answer.sdp;
    return Promise.resolve();
  }

  getStats(): Promise<Map<string, unknown>> {
    return Promise.resolve(new Map<string, unknown>());
  }

  close(): void {
    this.closed = true;
    this.channel.readyState = "closed";
  }

  become(state: string): void {
    this.connectionState = state;
    if (state === "connected") this.channel.readyState = "open";
    this.onconnectionstatechange?.();
  }
}

/** Answers every offer, unless `refusals` says otherwise: they are given out first. */
export class FakeServer implements CheckServer {
  readonly refusals: StreamFailure[] = [];
  readonly ended: string[] = [];
  offers = 0;
  sourceLabel = "";
  /** An offer waits for this. */
  gate: Promise<void> = Promise.resolve();

  status(): Promise<Status> {
    return Promise.resolve(STATUS);
  }

  async offer(_sdp: string, sourceLabel: string): Promise<Answer> {
    this.offers += 1;
    this.sourceLabel = sourceLabel;
    const location = `/webrtc/check/${this.offers}`;
    await this.gate;
    const refusal = this.refusals.shift();
    if (refusal !== undefined) throw refusal;
    return { location, sdp: "answer" };
  }

  end(location: string): Promise<void> {
    this.ended.push(location);
    return Promise.resolve();
  }
}

export interface Stage {
  readonly environment: StreamEnvironment;
  readonly server: FakeServer;
  readonly source: FakeSource;
  readonly peers: FakePeer[];
}

/** An environment in which everything works. */
export function stage(change: Partial<StreamEnvironment> = {}): Stage {
  const server = new FakeServer();
  const source = new FakeSource();
  const peers: FakePeer[] = [];
  const opened = () => Promise.resolve(source as unknown as MediaStream);
  return {
    server,
    source,
    peers,
    environment: {
      server,
      media: media({ getUserMedia: opened, getDisplayMedia: opened }),
      secure: true,
      createPeer: (configuration) => {
        const peer = new FakePeer(configuration);
        peers.push(peer);
        return peer as unknown as RTCPeerConnection;
      },
      random: () => 0.5,
      ...change,
    },
  };
}

export function media(change: Partial<Media>): Media {
  return {
    getUserMedia: () => Promise.reject(new DOMException("none", "NotFoundError")),
    enumerateDevices: () => Promise.resolve([]),
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    ...change,
  };
}

/** A `result` as the server sends it. */
export function wireResult(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    sequence: 57,
    pts: 512430,
    time_s: 5.69,
    width: 640,
    height: 480,
    state: "real",
    reason: "steady over 41 usable frames",
    fake_probability: 0.08,
    admitted: 41,
    needed: 12,
    faces: [wireFace()],
    latency_ms: 9.4,
    dropped: { samples: 0, frames: 2 },
    error: null,
    feed: "live",
    feed_reason: "",
    challenge: null,
    ...change,
  };
}

export function wireFace(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    track: 1,
    box: [210.5, 96, 402.1, 330.7],
    state: "real",
    reason: "steady over 41 usable frames",
    fake_probability: 0.08,
    score: 0.11,
    rejected: null,
    admitted: 41,
    needed: 12,
    ...change,
  };
}

export const WIRE_HELLO = {
  session: "s",
  protocol: 1,
  model: { name: "meso4", title: "Meso4", sha256: "ab" },
  thresholds: { fake_enter: 0.8, fake_leave: 0.6, real_enter: 0.2, real_leave: 0.4 },
  window_s: 10,
  needed: 12,
  virtual_camera: null,
};
