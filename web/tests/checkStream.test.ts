import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MAX_RECONNECTS } from "../src/stream/backoff";
import { CheckStream } from "../src/stream/checkStream";
import { StreamFailure } from "../src/stream/failure";
import { media, stage, wireFace, wireResult, type FakePeer, type Stage } from "./fakes";

const CAMERA = { kind: "camera", deviceId: null } as const;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

function last(of: Stage): FakePeer {
  const peer = of.peers.at(-1);
  if (peer === undefined) throw new Error("expected a connection to have been made");
  return peer;
}

async function live(of: Stage): Promise<CheckStream> {
  const stream = new CheckStream(of.environment);
  void stream.start(CAMERA);
  await pass(0);
  last(of).become("connected");
  await pass(0);
  return stream;
}

describe("a successful check", () => {
  it("goes through idle, asking, connecting, live, closed", async () => {
    const of = stage();
    const stream = new CheckStream(of.environment);
    const states = [stream.snapshot().state];
    stream.subscribe(() => {
      const { state } = stream.snapshot();
      if (state !== states.at(-1)) states.push(state);
    });
    void stream.start(CAMERA);
    await pass(0);
    last(of).become("connected");
    await pass(0);
    stream.stop();
    expect(states).toEqual(["idle", "asking", "connecting", "live", "closed"]);
  });

  it("offers one sendrecv video and applies the answer", async () => {
    const of = stage();
    await live(of);
    expect(last(of)).toMatchObject({ directions: ["sendrecv"], answer: "answer", configuration: { iceServers: [] } });
  });

  it("reports the camera's name to the server and to subscribers", async () => {
    const of = stage();
    of.source.track.label = "OBS Virtual Camera";
    const stream = await live(of);
    expect(of.server.sourceLabel).toBe("OBS Virtual Camera");
    expect(stream.snapshot().sourceLabel).toBe("OBS Virtual Camera");
    stream.stop();
    expect(stream.snapshot().sourceLabel).toBe("");
  });

  it("releases the source, the connection and the session when stopped", async () => {
    const of = stage();
    const stream = await live(of);
    stream.stop();
    expect(of.source.track.stopped).toBe(true);
    expect(of.server.ended).toEqual(["/webrtc/check/1"]);
    await pass(0);
    expect(last(of).closed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(["while it runs", "after it was stopped"])("is forgotten when it is cleared %s", async (when) => {
    const of = stage();
    const stream = await live(of);
    last(of).channel.receive("result", wireResult());
    if (when === "after it was stopped") stream.stop();
    expect(stream.snapshot().history).toHaveLength(1);
    stream.clear();
    expect(stream.snapshot()).toMatchObject({ state: "idle", result: null, picture: null, history: [] });
    expect(of.source.track.stopped).toBe(true);
  });

  it("ends the session before the connection, so that the server does not see a disconnection first", async () => {
    const of = stage();
    const stream = await live(of);
    let ended: () => void = () => undefined;
    vi.spyOn(of.server, "end").mockReturnValue(new Promise((resolve) => (ended = resolve)));
    stream.stop();
    await pass(0);
    expect(last(of).closed).toBe(false);
    ended();
    await pass(0);
    expect(last(of).closed).toBe(true);
  });

  it("has immutable snapshots", async () => {
    const of = stage();
    const stream = await live(of);
    const before = stream.snapshot();
    last(of).channel.receive("result", wireResult());
    expect(before.result).toBeNull();
    expect(stream.snapshot().result?.sequence).toBe(57);
  });

  it("measures the round trip with pings", async () => {
    const of = stage();
    const stream = await live(of);
    await pass(2000);
    const { channel } = last(of);
    expect(channel.sent).toEqual([JSON.stringify({ type: "ping", value: { id: 1 } })]);
    await pass(35);
    channel.receive("pong", { id: 1 });
    expect(stream.snapshot().roundTripMs).toBeCloseTo(35);
  });

  it("is stale without a result for stale_s, until the next one", async () => {
    const of = stage();
    const stream = await live(of);
    last(of).channel.receive("result", wireResult());
    await pass(900);
    expect(stream.snapshot().stale).toBe(false);
    await pass(200);
    expect(stream.snapshot().stale).toBe(true);
    last(of).channel.receive("result", wireResult());
    expect(stream.snapshot().stale).toBe(false);
    last(of).channel.receive("result", wireResult({ latency_ms: 1500 }));
    expect(stream.snapshot().stale).toBe(true);
  });

  it("counts the age of the score from results that have one", async () => {
    const of = stage();
    const stream = await live(of);
    last(of).channel.receive("result", wireResult({ latency_ms: 20 }));
    const scoredAtMs = stream.snapshot().scoredAtMs;
    expect(scoredAtMs).toBeCloseTo(performance.now() - 20);
    await pass(100);
    last(of).channel.receive("result", wireResult({ faces: [wireFace({ score: null })] }));
    expect(stream.snapshot().scoredAtMs).toBe(scoredAtMs);
  });

  it("ignores a message that violates the protocol", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const of = stage();
    const stream = await live(of);
    last(of).channel.receive("result", { state: "verified" });
    expect(stream.snapshot()).toMatchObject({ state: "live", result: null });
    expect(warn).toHaveBeenCalledOnce();
  });
});

describe("an unavailable source", () => {
  it.each([
    ["NotAllowedError", "permission-denied"],
    ["NotFoundError", "no-camera"],
    ["OverconstrainedError", "no-camera"],
    ["NotReadableError", "camera-busy"],
  ])("%s is %s", async (name, code) => {
    const of = stage({ media: media({ getUserMedia: () => Promise.reject(new DOMException("why", name)) }) });
    const stream = new CheckStream(of.environment);
    await stream.start(CAMERA);
    expect(stream.snapshot()).toMatchObject({ state: "failed", failure: { code } });
    expect(of.server.offers).toBe(0);
  });

  it.each([
    ["insecure", { secure: false, media: undefined }],
    ["unsupported", { media: undefined }],
    ["unsupported", { createPeer: undefined }],
  ] as const)("fails as %s if the browser lacks a feature", async (code, change) => {
    const of = stage(change);
    const stream = new CheckStream(of.environment);
    await stream.start(CAMERA);
    expect(stream.snapshot()).toMatchObject({ state: "failed", failure: { code } });
    if ("createPeer" in change) expect(of.source.track.stopped).toBe(true);
  });

  it("fails when the camera is unplugged", async () => {
    const of = stage();
    const stream = await live(of);
    of.source.track.dispatchEvent(new Event("ended"));
    expect(stream.snapshot()).toMatchObject({ state: "failed", failure: { code: "no-camera" } });
    await pass(0);
    expect(last(of).closed).toBe(true);
  });

  it("closes when sharing is stopped in the browser", async () => {
    const of = stage();
    const stream = new CheckStream(of.environment);
    void stream.start({ kind: "screen" });
    await pass(0);
    of.source.track.dispatchEvent(new Event("ended"));
    expect(stream.snapshot()).toMatchObject({ state: "closed", sharingEnded: true });
  });

  it("releases a source that is opened after stop", async () => {
    let allow: () => void = () => undefined;
    const allowed = new Promise<void>((resolve) => (allow = resolve));
    const of = stage();
    const source = of.source as unknown as MediaStream;
    const stream = new CheckStream({ ...of.environment, media: media({ getUserMedia: () => allowed.then(() => source) }) });
    void stream.start(CAMERA);
    stream.stop();
    allow();
    await pass(0);
    expect(of.source.track.stopped).toBe(true);
    expect(stream.snapshot().state).toBe("closed");
  });
});

describe("a server that refuses", () => {
  it("waits for Retry-After with the source open, then tries again", async () => {
    const of = stage();
    of.server.refusals.push(new StreamFailure("server-full", "all 4 sessions are taken", 5));
    const stream = new CheckStream(of.environment);
    void stream.start(CAMERA);
    await pass(0);
    expect(stream.snapshot()).toMatchObject({ state: "waiting", failure: { code: "server-full" } });
    expect(stream.snapshot().retryAtMs).toBeCloseTo(performance.now() + 5000);
    expect(of.source.track.stopped).toBe(false);
    await pass(5000);
    last(of).become("connected");
    await pass(0);
    expect(stream.snapshot()).toMatchObject({ state: "live", failure: null, retryAtMs: null });
  });

  it.each(["token", "server-error"] as const)("fails at once and releases the source: %s", async (code) => {
    const of = stage();
    of.server.refusals.push(new StreamFailure(code, "no"));
    const stream = new CheckStream(of.environment);
    await stream.start(CAMERA);
    expect(stream.snapshot()).toMatchObject({ state: "failed", failure: { code, detail: "no" } });
    expect(of.source.track.stopped).toBe(true);
    expect(of.server.offers).toBe(1);
  });

  it("forgets the failure when stopped", async () => {
    const of = stage();
    of.server.refusals.push(new StreamFailure("token", "no"));
    const stream = new CheckStream(of.environment);
    await stream.start(CAMERA);
    stream.stop();
    expect(stream.snapshot()).toMatchObject({ state: "closed", failure: null });
  });

  it("ends a session whose answer arrives after stop", async () => {
    let open: () => void = () => undefined;
    const of = stage();
    of.server.gate = new Promise((resolve) => (open = resolve));
    const stream = new CheckStream(of.environment);
    void stream.start(CAMERA);
    await pass(0);
    stream.stop();
    open();
    await pass(0);
    expect(of.server.ended).toEqual(["/webrtc/check/1"]);
    expect(stream.snapshot().state).toBe("closed");
  });

  it("is not disturbed by a previous run that stops late", async () => {
    let open: () => void = () => undefined;
    const of = stage();
    of.server.gate = new Promise((resolve) => (open = resolve));
    const stream = new CheckStream(of.environment);
    void stream.start(CAMERA);
    await pass(0);
    void stream.start(CAMERA);
    await pass(0);
    open();
    await pass(0);
    last(of).become("connected");
    await pass(0);
    expect(stream.snapshot().state).toBe("live");
    expect(of.peers.map((peer) => peer.closed)).toEqual([true, false]);
    stream.stop();
    await pass(0);
    expect(of.peers.map((peer) => peer.closed)).toEqual([true, true]);
  });
});

describe("a lost connection", () => {
  const losses: readonly (readonly [string, (peer: FakePeer) => void, number])[] = [
    [
      "failed",
      (peer) => {
        peer.become("failed");
      },
      0,
    ],
    [
      "disconnected and not mended",
      (peer) => {
        peer.become("disconnected");
      },
      3000,
    ],
    [
      "its channel closed",
      (peer) => {
        peer.channel.onclose?.();
      },
      0,
    ],
    [
      "the server's bye",
      (peer) => {
        peer.channel.receive("bye", { reason: "server_shutdown" });
      },
      0,
    ],
    ["silence", () => undefined, 8000],
  ];
  it.each(losses)("is restored with the camera kept open: %s", async (_, lose, afterMs) => {
    const of = stage();
    const stream = await live(of);
    lose(last(of));
    await pass(afterMs);
    expect(stream.snapshot()).toMatchObject({ state: "reconnecting", attempt: 1, failure: { code: "connection-lost" } });
    expect(of.source.track.stopped).toBe(false);
    await pass(500);
    last(of).become("connected");
    await pass(0);
    expect(stream.snapshot()).toMatchObject({ state: "live", attempt: 0 });
    expect(of.peers).toHaveLength(2);
  });

  it("is not restored if the server refuses the video, which would be refused again", async () => {
    const of = stage();
    const stream = await live(of);
    last(of).channel.receive("bye", { reason: "video_too_large" });
    await pass(0);
    expect(stream.snapshot()).toMatchObject({ state: "failed", failure: { code: "server-error" } });
    expect(stream.snapshot().failure?.detail).toMatch(/larger than the server accepts/);
    expect(of.source.track.stopped).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends the lost session, unless the server has ended it", async () => {
    const of = stage();
    await live(of);
    last(of).become("failed");
    await pass(500);
    last(of).become("connected");
    await pass(0);
    last(of).channel.receive("bye", { reason: "closed" });
    await pass(0);
    expect(of.server.ended).toEqual(["/webrtc/check/1"]);
  });

  it("is kept when ICE recovers", async () => {
    const of = stage();
    const stream = await live(of);
    last(of).become("disconnected");
    await pass(1000);
    last(of).become("connected");
    await pass(3000);
    expect(stream.snapshot().state).toBe("live");
    expect(of.peers).toHaveLength(1);
  });

  it("fails and releases the camera if it cannot be restored", async () => {
    const of = stage();
    const stream = await live(of);
    for (let attempt = 0; attempt <= MAX_RECONNECTS; attempt += 1)
      of.server.refusals.push(new StreamFailure("connection-lost", "unreachable"));
    last(of).become("failed");
    await pass(120_000);
    expect(stream.snapshot()).toMatchObject({ state: "failed", failure: { code: "connection-lost", detail: "unreachable" } });
    expect(of.source.track.stopped).toBe(true);
    expect(of.server.offers).toBe(1 + MAX_RECONNECTS);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("gives up if each connection takes long to open and is lost at once", async () => {
    const of = stage();
    const stream = await live(of);
    for (let attempt = 1; attempt <= MAX_RECONNECTS + 1; attempt += 1) {
      last(of).become("failed");
      for (let waited = 0; waited < 200 && of.peers.length === attempt; waited += 1) await pass(100);
      await pass(11_000);
      last(of).become("connected");
      await pass(0);
    }
    expect(stream.snapshot()).toMatchObject({ state: "failed", failure: { code: "connection-lost" } });
    expect(of.server.offers).toBe(1 + MAX_RECONNECTS);
  });

  it("marks the history, so that no line is drawn across the gap", async () => {
    const of = stage();
    const stream = await live(of);
    last(of).channel.receive("result", wireResult());
    last(of).become("failed");
    await pass(500);
    last(of).become("connected");
    await pass(0);
    last(of).channel.receive("result", wireResult());
    expect(stream.snapshot().history.map((sample) => sample.connection)).toEqual([1, 2]);
  });
});
