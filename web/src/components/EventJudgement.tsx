import { exact, figure, probability } from "../figures";
import { hrefOf } from "../route";
import type { CameraEvent } from "../stream/events";
import { clock } from "../times";
import { ProbabilityBand } from "./ProbabilityBand";

/** Maximum number of gaps that are listed individually. */
const LISTED = 10;

interface Props {
  readonly event: CameraEvent;
  readonly model: NonNullable<CameraEvent["model"]>;
}

/** How the event was judged: the model and the exact thresholds at that time, which may have changed since. */
export function EventJudgement({ event, model }: Props) {
  const { peak, mean, track, gapsS, evidence } = event;
  const { thresholds } = model;
  const facts: readonly (readonly [string, string])[] = [
    ["Highest", probability(peak)],
    ["Mean", probability(mean)],
    ["Face", figure(track)],
    ["Evidence", evidence === null ? "nothing" : figure(evidence.bytes / 1e6, "MB", 1)],
    ["Fake from", exact(thresholds.fakeEnter)],
    ["Fake until below", exact(thresholds.fakeLeave)],
    ["Real up to", exact(thresholds.realEnter)],
    ["Real until above", exact(thresholds.realLeave)],
  ];
  return (
    <section aria-labelledby="judgement" data-testid="judgement" className="panel space-y-4 p-4">
      <h2 id="judgement" className="font-semibold">
        How it was analysed
      </h2>
      <ProbabilityBand label="Highest fake probability" value={peak} thresholds={thresholds} />
      <dl className="grid grid-cols-2 gap-x-4 gap-y-2 text-sm">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt className="text-muted">{term}</dt>
            <dd className="font-semibold">{value}</dd>
          </div>
        ))}
      </dl>
      <p className="text-sm">
        <span className="text-muted">Model</span>{" "}
        <a href={hrefOf({ page: "models" })} className="font-semibold underline">
          {model.name}
        </a>
        <span className="block font-mono text-xs text-muted">sha256 {model.sha256}</span>
      </p>
      <p className="text-sm">
        <span className="text-muted">Gaps</span> {gapsS.length === 0 ? "none: no frames were lost" : gaps(gapsS)}
      </p>
    </section>
  );
}

function gaps(atS: readonly number[]): string {
  const listed = atS.slice(0, LISTED).map((one) => clock(one));
  const more = atS.length - listed.length;
  return `frames were lost at ${listed.join(", ")}${more > 0 ? ` and ${more} other times` : ""}`;
}
