import { useState } from "react";
import type { CheckResult, Thresholds } from "../stream/messages";
import { NONE } from "../figures";
import type { ShownState, ShownVerdict } from "../words";
import { FaceChip } from "./FaceChip";
import { FeedNotice } from "./FeedNotice";
import { Limits } from "./Limits";
import { ProbabilityBand } from "./ProbabilityBand";
import { VerdictBadge } from "./VerdictBadge";

interface Props {
  readonly verdict: ShownVerdict;
  /** The newest result; shown while the verdict is current. */
  readonly result: CheckResult | null;
  readonly thresholds: Thresholds | null;
  readonly limits: readonly string[];
}

const SILENT: ReadonlySet<ShownState> = new Set(["idle", "stale", "offline"]);

/** The stream's verdict, its basis, and the verdict of each face. */
export function VerdictPanel({ verdict, result, thresholds, limits }: Props) {
  const silent = SILENT.has(verdict.state);
  const faces = silent ? [] : (result?.faces ?? []);
  const { needed } = verdict;
  return (
    <section aria-labelledby="verdict-title" className="panel @container p-4">
      <h2 id="verdict-title" className="font-semibold">
        Verdict
      </h2>
      <div className="mt-3">
        <VerdictBadge state={verdict.state} word={verdict.word} size="large" testId="verdict" />
      </div>
      <p data-testid="verdict-reason" className="mt-3 min-h-12">
        {verdict.reason}
      </p>
      <Announcement state={verdict.state} text={verdict.reason} />
      {!silent && result !== null && <FeedNotice feed={result.feed} reason={result.feedReason} />}
      <div className="mt-3">
        <ProbabilityBand value={verdict.fakeProbability} thresholds={thresholds} />
      </div>
      <p className="mt-3 flex justify-between text-sm">
        <span className="text-muted">Usable frames</span>
        <span>{needed === null ? NONE : evidence(verdict.admitted, needed)}</span>
      </p>
      <div className="mt-4 border-t border-edge pt-4">
        <h3 className="text-sm text-muted">Faces</h3>
        {faces.length === 0 ? (
          <p className="mt-2 min-h-12 text-sm text-muted">
            {silent ? "They are listed here while video is checked." : "None in the picture."}
          </p>
        ) : (
          <ul className="mt-2 space-y-3">
            {faces.map((face) => (
              <li key={face.track} className="min-h-12">
                <FaceChip face={face} />
              </li>
            ))}
          </ul>
        )}
      </div>
      <div className="mt-4 border-t border-edge pt-4">
        <Limits limits={limits} />
      </div>
    </section>
  );
}

/** "5 of 12" until there are enough frames, then their number. */
function evidence(admitted: number, needed: number): string {
  return admitted < needed ? `${admitted} of ${needed}` : String(admitted);
}

/** Announces the verdict when its state changes, and not for each of ten results per second. */
function Announcement({ state, text }: { readonly state: ShownState; readonly text: string }) {
  const [said, setSaid] = useState({ state, text });
  if (said.state !== state) setSaid({ state, text });
  return (
    <p role="status" aria-live="polite" className="sr-only" data-testid="announcement">
      {said.text}
    </p>
  );
}
