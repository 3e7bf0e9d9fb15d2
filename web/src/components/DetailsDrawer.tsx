import { figure, NONE } from "../figures";
import type { StreamSnapshot } from "../stream/checkStream";

/** Figures of the connection and the analysis, to find out why a check is slow. */
export function DetailsDrawer({ snapshot }: { readonly snapshot: StreamSnapshot }) {
  const { stats, result, roundTripMs, scoredAtMs, atMs } = snapshot;
  const ageMs = scoredAtMs === null ? null : Math.max(0, atMs - scoredAtMs);
  const figures: readonly (readonly [string, string])[] = [
    ["Frame rate, sent / received", `${figure(stats?.fpsOut, "", 1)} / ${figure(stats?.fpsIn, "fps", 1)}`],
    ["Codec, sent / received", `${stats?.sendCodec ?? NONE} / ${stats?.receiveCodec ?? NONE}`],
    ["Bitrate, sent / received", `${figure(stats?.kbpsOut)} / ${figure(stats?.kbpsIn, "kbit/s")}`],
    ["Resolution", typeof stats?.width === "number" ? `${stats.width} × ${figure(stats.height)}` : NONE],
    ["Round trip (data channel)", figure(roundTripMs, "ms")],
    ["Round trip (network)", figure(stats?.networkRoundTripMs, "ms")],
    ["Analysis latency", figure(result?.latencyMs, "ms", 1)],
    ["Age of the score", figure(ageMs, "ms")],
    ["Samples dropped", figure(result?.dropped.samples)],
    ["Frames dropped by the server", figure(result?.dropped.frames)],
    ["Frames dropped by the browser", figure(stats?.framesDropped)],
    ["Packets lost", figure(stats?.packetsLost)],
  ];
  return (
    <details data-testid="details" className="panel group">
      <summary className="rounded-lg p-4 font-semibold">Details</summary>
      <dl className="grid grid-cols-[repeat(auto-fill,minmax(10rem,1fr))] gap-x-6 gap-y-3 px-4 pb-4 text-sm">
        {figures.map(([term, value]) => (
          <div key={term}>
            <dt className="text-muted">{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
