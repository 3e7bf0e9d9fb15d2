import { figure, probability } from "../figures";
import { hrefOf } from "../route";
import type { CameraEvent } from "../stream/events";
import { clock } from "../times";
import { ProbabilityBand } from "./ProbabilityBand";

/** Gaps that are listed one by one. */
const LISTED = 10;

/** The measure that was applied then: the exact thresholds and model, which may be others today. */
export function EventJudgement({ event }: { readonly event: CameraEvent }) {
  const { model, peak, mean, track, gapsS, evidence } = event;
  const thresholds = model?.thresholds ?? null;
  const facts: readonly (readonly [string, string])[] =
    model === null
      ? []
      : [
          ["Highest", probability(peak)],
          ["Mean", probability(mean)],
          ["Face", figure(track)],
          ["Fake from", probability(model.thresholds.fakeEnter)],
          ["Fake until below", probability(model.thresholds.fakeLeave)],
          ["Real up to", probability(model.thresholds.realEnter)],
          ["Real until above", probability(model.thresholds.realLeave)],
        ];
  return (
    <section aria-labelledby="judgement" data-testid="judgement" className="panel space-y-4 p-4">
      <h2 id="judgement" className="font-semibold">
        {model === null ? "What is known" : "How it was judged"}
      </h2>
      {model !== null && <ProbabilityBand value={peak} thresholds={thresholds} />}
      {facts.length > 0 && (
        <dl className="grid grid-cols-2 gap-x-4 gap-y-2 text-sm">
          {facts.map(([term, value]) => (
            <div key={term}>
              <dt className="text-muted">{term}</dt>
              <dd className="font-semibold">{value}</dd>
            </div>
          ))}
        </dl>
      )}
      {model !== null && (
        <p className="text-sm">
          <span className="text-muted">Model</span>{" "}
          <a href={hrefOf({ page: "models" })} className="font-semibold underline">
            {model.name}
          </a>
          <span className="block font-mono text-xs text-muted">sha256 {model.sha256}</span>
        </p>
      )}
      <p className="text-sm">
        <span className="text-muted">Gaps</span> {gapsS.length === 0 ? "none: no picture was lost" : gaps(gapsS)}
      </p>
      {evidence !== null && (
        <p className="text-sm">
          <span className="text-muted">Kept</span> {figure(evidence.bytes / 1e6, "MB", 1)}
        </p>
      )}
    </section>
  );
}

function gaps(atS: readonly number[]): string {
  const listed = atS.slice(0, LISTED).map((one) => clock(one));
  const more = atS.length - listed.length;
  return `pictures were lost at ${listed.join(", ")}${more > 0 ? ` and ${more} more times` : ""}`;
}
