/** A server of cameras that answers from a table, driven by the test: it speaks docs/protocol.md by `fetch`. */

import type { Services } from "../src/services";
import { AccessServer } from "../src/stream/access";
import { AccessToken } from "../src/stream/accessToken";
import { AnalysisProgress } from "../src/stream/analysisProgress";
import { AnalysisServer } from "../src/stream/analysisServer";
import { CameraResults } from "../src/stream/cameraResults";
import { CameraServer } from "../src/stream/cameraServer";
import { Fleet } from "../src/stream/fleet";
import { Http } from "../src/stream/http";
import { Identity } from "../src/stream/identity";
import { Pictures } from "../src/stream/pictures";
import { Server } from "../src/stream/server";
import { Uploads } from "../src/stream/uploads";
import { WhepPlayer } from "../src/stream/whepPlayer";
import { FakePeer } from "./fakes";

export const ORIGIN = "http://localhost";

export function wireCamera(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: "door",
    title: "Front door",
    origin: "api",
    enabled: true,
    settings: {
      url: "rtsp://viewer:***@10.0.0.5/stream",
      transport: "tcp",
      loop: false,
      rate_hz: 5,
      keyframes_only_when_idle: false,
      evidence: true,
      node: "",
    },
    state: "live",
    reason: "25 fps",
    since_s: 1795300000,
    retry_at_s: null,
    width: 640,
    height: 480,
    codec: "h264",
    fps: 25,
    viewers: 0,
    node: null,
    counts: { pictures: 100, analysed: 20, dropped_samples: 0, decode_errors: 0, reconnects: 0, received_bytes: 1000 },
    verdict: {
      state: "real",
      reason: "steady over 41 usable frames",
      fake_probability: 0.08,
      faces: 1,
      age_s: 0.2,
      feed: "live",
      feed_reason: "",
    },
    ...change,
  };
}

export function wireEvent(change: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: "01920000000000000000000000000001",
    camera: "door",
    kind: "fake",
    began_s: 1795300000,
    ended_s: 1795300048,
    interrupted: false,
    reason: "steady over 30 usable frames",
    peak: 0.97,
    mean: 0.91,
    track: 3,
    gaps_s: [],
    model: {
      name: "meso4",
      sha256: "ab".repeat(32),
      thresholds: { fake_enter: 0.9, fake_leave: 0.7, real_enter: 0.15, real_leave: 0.35 },
    },
    evidence: null,
    ...change,
  };
}

type Reply = (body: unknown, url: URL) => Response;

/** A stream of server-sent events that the test writes; what is sent before anybody reads waits for the first reader. */
export class FakeFeed {
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #waiting: Uint8Array[] = [];

  response(): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        for (const piece of this.#waiting.splice(0)) controller.enqueue(piece);
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  send(event: string, data: unknown): void {
    this.sendText(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** Any piece of the stream, as it is. */
  sendText(piece: string): void {
    const bytes = new TextEncoder().encode(piece);
    if (this.#controller === null) this.#waiting.push(bytes);
    else this.#controller.enqueue(bytes);
  }

  end(): void {
    this.#controller?.close();
  }
}

/** A JSON response that is sent when the test calls `answer`. */
export function held(): { response: () => Response; answer: (body: unknown) => void } {
  const feed = new FakeFeed();
  return {
    response: () => feed.response(),
    answer: (body) => {
      feed.sendText(JSON.stringify(body));
      feed.end();
    },
  };
}

export class FakeCameraServer {
  readonly asked: { method: string; path: string; body: unknown; headers: Headers }[] = [];
  readonly feed = new FakeFeed();
  readonly results = new FakeFeed();
  readonly #replies = new Map<string, Reply>();

  constructor() {
    this.on("GET /api/streams/events", () => this.feed.response());
    this.on("GET /api/streams/door/results", () => this.results.response());
    this.json("GET /api/cameras", { items: [wireCamera()] });
    this.json("GET /api/alerts", { items: [] });
    this.json("GET /api/events", { items: [], next: null });
    this.json("GET /api/cameras/door/scores", { step_s: 60, items: [] });
    this.json("GET /api/cameras/door/states", { items: [] });
    this.on("GET /api/cameras/door/snapshot.jpg", () => new Response(new Blob(["jpeg"], { type: "image/jpeg" })));
  }

  /** @param route method and path, without the query */
  on(route: string, reply: Reply): void {
    this.#replies.set(route, reply);
  }

  json(route: string, body: unknown, status = 200): void {
    this.on(route, () => new Response(status === 204 ? null : JSON.stringify(body), { status }));
  }

  problem(route: string, status: number, detail: string): void {
    this.json(route, { type: "about:blank", title: "no", status, detail }, status);
  }

  readonly fetch: typeof globalThis.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, ORIGIN);
    const method = init?.method ?? "GET";
    const body: unknown = typeof init?.body === "string" && init.body.startsWith("{") ? JSON.parse(init.body) : init?.body;
    this.asked.push({ method, path: `${url.pathname}${url.search}`, body, headers: new Headers(init?.headers) });
    const reply = this.#replies.get(`${method} ${url.pathname}`);
    return Promise.resolve(reply === undefined ? new Response("{}", { status: 404 }) : reply(body, url));
  };
}

/** @param page URL of the page */
export function httpOf(fake: FakeCameraServer, page = ORIGIN): Http {
  return new Http(new AccessToken(() => sessionStorage), fake.fetch, page);
}

/** All that the pages need, in front of this server. */
export function servicesOf(http: Http): { services: Services; server: Server; peers: FakePeer[] } {
  const server = new Server(http);
  const cameras = new CameraServer(http);
  const peers: FakePeer[] = [];
  const createPeer = (configuration: RTCConfiguration): RTCPeerConnection => {
    const peer = new FakePeer(configuration);
    peers.push(peer);
    return peer as unknown as RTCPeerConnection;
  };
  const random = () => 0.5;
  const access = new AccessServer(http);
  const services: Services = {
    access,
    identity: new Identity(http, access, new AccessToken(() => sessionStorage)),
    server,
    cameras,
    fleet: new Fleet(http, cameras, random),
    player: new WhepPlayer({ http, iceServers: () => Promise.resolve([]), createPeer, random }),
    pictures: new Pictures(cameras),
    resultsOf: (camera, staleS) => new CameraResults(http, camera, staleS, random),
    analyses: new AnalysisServer(http),
    uploads: new Uploads(new AccessToken(() => sessionStorage), () => new XMLHttpRequest(), ORIGIN),
    progressOf: (analysis, listener) => new AnalysisProgress(http, analysis, listener, random),
  };
  return { services, server, peers };
}
