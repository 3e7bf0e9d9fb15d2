import { verdictWords } from "../analysisWords";
import type { ModelReview } from "../stream/analysisResults";
import { VerdictBadge } from "./VerdictBadge";

interface Props {
  readonly reviews: readonly ModelReview[];
  /** name of the selected model */
  readonly chosen: string;
  readonly onChoose: (name: string) => void;
}

/** The verdicts of several models, side by side; the selected one is shown in full. */
export function ModelChoice({ reviews, chosen, onChoose }: Props) {
  return (
    <fieldset data-testid="model-choice">
      <legend className="mb-2 font-semibold">What each model says</legend>
      <div className="grid grid-cols-[repeat(auto-fit,minmax(min(100%,14rem),1fr))] gap-3">
        {reviews.map(({ model, verdict, tracks, flagged }) => (
          <label
            key={model.name}
            className="panel flex cursor-pointer items-start gap-3 p-3 has-checked:border-ink has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-ink"
          >
            <input
              type="radio"
              name="model"
              value={model.name}
              checked={model.name === chosen}
              onChange={() => {
                onChoose(model.name);
              }}
              className="mt-1 size-4 shrink-0 accent-ink"
            />
            <span className="min-w-0 space-y-1">
              <span className="block font-semibold">{model.title}</span>
              <VerdictBadge state={verdict.state} size="small" />
              <span className="block text-sm text-muted">
                {verdictWords(verdict)} · {count(tracks.length, "face")} · {count(flagged.length, "flagged frame")}
              </span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
