import { figure, NONE } from "../figures";
import type { Camera } from "../stream/cameras";
import { moment } from "../times";

/** Settings and counters of a camera. */
export function CameraFacts({ camera }: { readonly camera: Camera }) {
  const { settings, counts } = camera;
  const facts: readonly (readonly [string, string])[] = [
    ["Address", settings.url],
    ["Name", camera.name],
    ["Transport", settings.transport.toUpperCase()],
    ["Checks per second", figure(settings.rateHz, "", Number.isInteger(settings.rateHz) ? 0 : 1)],
    ["Evidence of fake events", settings.evidence ? "kept" : "not kept"],
    ["Key frames only when idle", settings.keyframesOnlyWhenIdle ? "yes" : "no"],
    ...(camera.node === null ? [] : [["On node", camera.node] as const]),
    ["State since", moment(camera.sinceS)],
    ["Resolution", camera.width === null ? NONE : `${camera.width} × ${figure(camera.height)}`],
    ["Codec", camera.codec || NONE],
    ["fps", figure(camera.fps, "", 1)],
    ["Viewers", figure(camera.viewers)],
    ["Frames", figure(counts.pictures)],
    ["Analysed", figure(counts.analysed)],
    ["Samples dropped", figure(counts.droppedSamples)],
    ["Decode errors", figure(counts.decodeErrors)],
    ["Reconnections", figure(counts.reconnects)],
    ["Received", figure(counts.receivedBytes / 1e6, "MB", 1)],
  ];
  return (
    <details data-testid="facts" className="panel">
      <summary className="rounded-lg p-4 font-semibold">Settings and figures</summary>
      <dl className="grid grid-cols-[repeat(auto-fill,minmax(10rem,1fr))] gap-x-6 gap-y-3 px-4 pb-4 text-sm">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt className="text-muted">{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
