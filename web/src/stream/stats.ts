/** Rates of a connection, computed from two readings of RTCPeerConnection.getStats. */

/** Counters of one reading; null if the browser does not report one. */
export interface Counters {
  /** ms, on the clock of the reports */
  readonly atMs: number;
  readonly framesSent: number | null;
  readonly framesDecoded: number | null;
  readonly bytesSent: number | null;
  readonly bytesReceived: number | null;
  readonly packetsLost: number | null;
  readonly framesDropped: number | null;
  readonly roundTripS: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly sendCodec: string | null;
  readonly receiveCodec: string | null;
}

export interface StreamStats {
  readonly fpsOut: number | null;
  readonly fpsIn: number | null;
  readonly kbpsOut: number | null;
  readonly kbpsIn: number | null;
  /** Network round trip between the two ends of the media path. */
  readonly networkRoundTripMs: number | null;
  readonly packetsLost: number | null;
  readonly framesDropped: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly sendCodec: string | null;
  readonly receiveCodec: string | null;
}

type Entry = Record<string, unknown>;

export function readCounters(report: ReadonlyMap<string, unknown> | RTCStatsReport): Counters {
  const entries = new Map<string, Entry>();
  report.forEach((entry: unknown, id: string) => {
    if (typeof entry === "object" && entry !== null) entries.set(id, entry as Entry);
  });
  const all = [...entries.values()];
  const sent = all.find((entry) => entry.type === "outbound-rtp" && entry.kind === "video");
  const received = all.find((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
  const pair = all.find((entry) => entry.type === "candidate-pair" && entry.nominated === true && entry.state === "succeeded");
  const codecOf = (entry: Entry | undefined): string | null => {
    const codec = typeof entry?.codecId === "string" ? entries.get(entry.codecId) : undefined;
    return typeof codec?.mimeType === "string" ? codec.mimeType.replace(/^video\//i, "") : null;
  };
  return {
    atMs: numeric(received, "timestamp") ?? numeric(sent, "timestamp") ?? 0,
    framesSent: numeric(sent, "framesSent") ?? numeric(sent, "framesEncoded"),
    framesDecoded: numeric(received, "framesDecoded"),
    bytesSent: numeric(sent, "bytesSent"),
    bytesReceived: numeric(received, "bytesReceived"),
    packetsLost: numeric(received, "packetsLost"),
    framesDropped: numeric(received, "framesDropped"),
    roundTripS: numeric(pair, "currentRoundTripTime"),
    width: numeric(received, "frameWidth"),
    height: numeric(received, "frameHeight"),
    sendCodec: codecOf(sent),
    receiveCodec: codecOf(received),
  };
}

export function streamStats(before: Counters | null, now: Counters): StreamStats {
  const seconds = before === null ? 0 : (now.atMs - before.atMs) / 1000;
  const rate = (earlier: number | null | undefined, later: number | null): number | null =>
    seconds > 0 && typeof earlier === "number" && later !== null && later >= earlier ? (later - earlier) / seconds : null;
  const kbps = (bytesPerS: number | null): number | null => (bytesPerS === null ? null : (bytesPerS * 8) / 1000);
  return {
    fpsOut: rate(before?.framesSent, now.framesSent),
    fpsIn: rate(before?.framesDecoded, now.framesDecoded),
    kbpsOut: kbps(rate(before?.bytesSent, now.bytesSent)),
    kbpsIn: kbps(rate(before?.bytesReceived, now.bytesReceived)),
    networkRoundTripMs: now.roundTripS === null ? null : now.roundTripS * 1000,
    packetsLost: now.packetsLost,
    framesDropped: now.framesDropped,
    width: now.width,
    height: now.height,
    sendCodec: now.sendCodec,
    receiveCodec: now.receiveCodec,
  };
}

function numeric(entry: Entry | undefined, key: string): number | null {
  const value = entry?.[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
