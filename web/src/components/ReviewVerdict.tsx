import type { Playhead } from "../playhead";
import type { ModelReview } from "../stream/analysisResults";
import { refusedCounts } from "../stream/reviewTimeline";
import { sentence } from "../words";
import { Limits } from "./Limits";
import { ProbabilityBand } from "./ProbabilityBand";
import { TrackChips } from "./TrackChips";
import { VerdictBadge } from "./VerdictBadge";

interface Props {
  readonly review: ModelReview;
  readonly timed: boolean;
  readonly playhead: Playhead;
}

/** One model's verdict with its reason, each face, and the faces that were not scored. */
export function ReviewVerdict({ review: { model, verdict, tracks }, timed, playhead }: Props) {
  const refused = refusedCounts(tracks);
  return (
    <section aria-labelledby="verdict-title" className="panel @container p-4">
      <h2 id="verdict-title" className="font-semibold">
        Verdict
      </h2>
      <div className="mt-3">
        <VerdictBadge state={verdict.state} size="large" testId="verdict" />
      </div>
      <p data-testid="verdict-reason" className="mt-3">
        {sentence(verdict.state, verdict.reason)}
      </p>
      <div className="mt-3">
        <ProbabilityBand
          label={timed ? "Highest fake probability" : "Fake probability"}
          value={verdict.fakeProbability}
          thresholds={model.thresholds}
        />
      </div>
      <div className="mt-4 border-t border-edge pt-4">
        <h3 className="text-sm text-muted">Faces</h3>
        <TrackChips tracks={tracks} timed={timed} playhead={playhead} />
      </div>
      <div className="mt-4 border-t border-edge pt-4" data-testid="refused">
        <h3 className="text-sm text-muted">Not scored</h3>
        {refused.length === 0 ? (
          <p className="mt-2 text-sm">Every face was scored.</p>
        ) : (
          <dl className="mt-2 space-y-1 text-sm">
            {refused.map(([why, times]) => (
              <div key={why} className="flex justify-between gap-3">
                <dt>{why}</dt>
                <dd className="font-semibold">{times}</dd>
              </div>
            ))}
          </dl>
        )}
      </div>
      <div className="mt-4 border-t border-edge pt-4">
        <Limits limits={model.limits} basis="the sampled frames of this file" />
      </div>
    </section>
  );
}
