import { useState } from "react";
import { analysisSentence, factsOf, shownAnalysis } from "../analysisWords";
import { useMay } from "../roles";
import { hrefOf } from "../route";
import { useServices } from "../services";
import { hasEnded, type Analysis } from "../stream/analyses";
import { asFailure } from "../stream/failure";
import { moment } from "../times";
import { asSentence } from "../words";
import { Button } from "./Button";
import { DeleteAnalysis } from "./DeleteAnalysis";
import { ProgressBar } from "./ProgressBar";
import { VerdictBadge } from "./VerdictBadge";

interface Props {
  readonly analysis: Analysis;
  readonly onChanged: (analysis: Analysis) => void;
  readonly onGone: () => void;
}

/** One analysis of the library. */
export function AnalysisRow({ analysis, onChanged, onGone }: Props) {
  const { id, file, state, models, createdS, sameAs, doneShare } = analysis;
  const { state: shown, word } = shownAnalysis(analysis);
  const sentence = analysisSentence(analysis);
  const goes = state === "running" || state === "fetching";
  return (
    <li data-testid="analysis" data-state={state} className="panel flex flex-wrap items-center gap-x-4 gap-y-2 p-3">
      <div className="min-w-0 flex-1 basis-60 space-y-1">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <VerdictBadge state={shown} word={word} size="small" />
          <a href={hrefOf({ page: "analysis", id })} className="font-semibold underline">
            {file.name}
          </a>
        </p>
        <p className="text-sm text-muted">
          {moment(createdS)} · {models.map(({ name }) => name).join(", ")} · {factsOf(file)}
          {sameAs !== null && " · an identical file was analysed before"}
        </p>
        {sentence !== "" && <p className="text-sm">{sentence}</p>}
        {goes && <ProgressBar label={`Analysing ${file.name}`} share={doneShare} words={sentence} />}
      </div>
      {hasEnded(analysis) ? (
        <DeleteAnalysis analysis={analysis} onGone={onGone} />
      ) : (
        <CancelAnalysis analysis={analysis} onCancelled={onChanged} />
      )}
    </li>
  );
}

interface CancelProps {
  readonly analysis: Analysis;
  readonly onCancelled: (analysis: Analysis) => void;
}

export function CancelAnalysis({ analysis, onCancelled }: CancelProps) {
  const mayCancel = useMay("operator");
  const { analyses } = useServices();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const cancel = async (): Promise<void> => {
    setBusy(true);
    try {
      onCancelled(await analyses.cancel(analysis.id));
    } catch (error) {
      setProblem(asSentence(asFailure(error).detail));
    }
    setBusy(false);
  };
  if (!mayCancel) return null;
  return (
    <span>
      <Button testId="cancel-analysis" disabled={busy} onClick={() => void cancel()}>
        {busy ? "Cancelling …" : "Cancel"}
        <span className="sr-only"> {analysis.file.name}</span>
      </Button>
      <span role="alert" className="block text-sm font-semibold empty:hidden">
        {problem}
      </span>
    </span>
  );
}
