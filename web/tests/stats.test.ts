import { describe, expect, it } from "vitest";
import { readCounters, streamStats } from "../src/stream/stats";

function report(atMs: number, frames: number, bytes: number): Map<string, unknown> {
  return new Map<string, unknown>([
    ["c1", { type: "codec", mimeType: "video/H264" }],
    ["o", { type: "outbound-rtp", kind: "video", timestamp: atMs, framesSent: frames, bytesSent: bytes, codecId: "c1" }],
    ["a", { type: "inbound-rtp", kind: "audio", timestamp: atMs, bytesReceived: 1e9 }],
    [
      "i",
      {
        type: "inbound-rtp",
        kind: "video",
        timestamp: atMs,
        framesDecoded: frames,
        bytesReceived: 2 * bytes,
        packetsLost: 3,
        frameWidth: 640,
        frameHeight: 480,
        codecId: "c1",
      },
    ],
    ["p0", { type: "candidate-pair", nominated: false, state: "succeeded", currentRoundTripTime: 9 }],
    ["p", { type: "candidate-pair", nominated: true, state: "succeeded", currentRoundTripTime: 0.012 }],
  ]);
}

describe("streamStats", () => {
  it("computes rates from two readings", () => {
    const stats = streamStats(readCounters(report(1000, 100, 50_000)), readCounters(report(3000, 160, 300_000)));
    expect(stats).toEqual({
      fpsOut: 30,
      fpsIn: 30,
      kbpsOut: 1000,
      kbpsIn: 2000,
      networkRoundTripMs: 12,
      packetsLost: 3,
      framesDropped: null,
      width: 640,
      height: 480,
      sendCodec: "H264",
      receiveCodec: "H264",
    });
  });

  it.each([
    ["at the first reading", null],
    ["without time between them", readCounters(report(3000, 100, 0))],
    ["when a counter began anew", readCounters(report(1000, 900, 900_000))],
  ])("has no rate %s", (_, before) => {
    expect(streamStats(before, readCounters(report(3000, 160, 300_000)))).toMatchObject({ fpsIn: null, kbpsOut: null, packetsLost: 3 });
  });

  it("has null where the browser reports nothing", () => {
    expect(Object.values(streamStats(null, readCounters(new Map())))).toEqual(Array.from({ length: 11 }, () => null));
  });
});
