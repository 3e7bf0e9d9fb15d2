import { useCallback, useState } from "react";
import { useAnalysis } from "../analysisHooks";
import { analysisSentence, factsOf, progressWords, quarter, shownAnalysis } from "../analysisWords";
import { CancelAnalysis } from "../components/AnalysisRow";
import { Credentials } from "../components/Credentials";
import { DeleteAnalysis } from "../components/DeleteAnalysis";
import { FlaggedStrip } from "../components/FlaggedStrip";
import { Failed, Loading } from "../components/ListState";
import { ModelChoice } from "../components/ModelChoice";
import { Milestones, ProgressBar } from "../components/ProgressBar";
import { ReviewFacts } from "../components/ReviewFacts";
import { ReviewMedia } from "../components/ReviewMedia";
import { ReviewVerdict } from "../components/ReviewVerdict";
import { SeekTimeline } from "../components/SeekTimeline";
import { VerdictBadge } from "../components/VerdictBadge";
import { Playhead } from "../playhead";
import { useResource } from "../resource";
import { ALL_ANALYSES, hrefOf, openInstead } from "../route";
import { useServices } from "../services";
import { hasEnded, type Analysis } from "../stream/analyses";
import type { Results } from "../stream/analysisResults";
import { moment } from "../times";
import { useTitle } from "../title";

/** One analysis: its progress, or its results. */
export function AnalysisPage({ id }: { readonly id: string }) {
  const { analysis, failure, put, reload } = useAnalysis(id);
  const title = analysis?.file.name ?? "Analysis";
  useTitle(title);
  return (
    <div className="space-y-4">
      <nav aria-label="Breadcrumbs" className="text-sm">
        <a href={hrefOf(ALL_ANALYSES)} className="underline">
          All analyses
        </a>
      </nav>
      {analysis === null && failure === null && <Loading>Loading the analysis …</Loading>}
      {analysis === null && failure !== null && <h1 className="text-xl font-semibold">Analysis</h1>}
      {failure !== null && <Failed what="The analysis could not be loaded." failure={failure} retrying={false} onRetry={reload} />}
      {analysis !== null && (
        <>
          <Header analysis={analysis} />
          {analysis.state === "done" ? <Done analysis={analysis} /> : <OnItsWay analysis={analysis} onChanged={put} />}
        </>
      )}
    </div>
  );
}

function Header({ analysis }: { readonly analysis: Analysis }) {
  const { state, word } = shownAnalysis(analysis);
  const { createdS, file, sameAs } = analysis;
  return (
    <header className="space-y-2">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <h1 className="text-xl font-semibold">{file.name}</h1>
        <VerdictBadge state={state} word={word} size="small" testId="analysis-state" />
      </div>
      <p className="text-sm text-muted">
        {moment(createdS)} · {factsOf(file)}
      </p>
      {sameAs !== null && <p className="text-sm">This file was analysed before with the same models; these are those results.</p>}
    </header>
  );
}

interface OnItsWayProps {
  readonly analysis: Analysis;
  readonly onChanged: (analysis: Analysis) => void;
}

/** Queued or running, or the reason why there are no results. */
function OnItsWay({ analysis, onChanged }: OnItsWayProps) {
  const { state, doneShare, etaS } = analysis;
  const running = state === "running" || state === "fetching";
  return (
    <div className="panel space-y-3 p-4" data-testid="progress" data-state={state}>
      <p role={state === "failed" ? "alert" : undefined} className={state === "failed" ? "font-semibold" : ""}>
        {analysisSentence(analysis)}
      </p>
      {running && <ProgressBar label="Analysing" share={doneShare} words={progressWords(doneShare, etaS)} />}
      <Milestones>{running ? quarter("The analysis", doneShare) : ""}</Milestones>
      {hasEnded(analysis) ? (
        <DeleteAnalysis analysis={analysis} onGone={leave} />
      ) : (
        <CancelAnalysis analysis={analysis} onCancelled={onChanged} />
      )}
    </div>
  );
}

function Done({ analysis }: { readonly analysis: Analysis }) {
  const { analyses } = useServices();
  const [results, reload] = useResource(useCallback(() => analyses.results(analysis.id), [analyses, analysis.id]));
  if (results.state === "loading") {
    return (
      <div className="panel min-h-96 p-4">
        <Loading>Loading the results …</Loading>
      </div>
    );
  }
  if (results.state === "failed") {
    return <Failed what="The results could not be loaded." failure={results.failure} retrying={results.retrying} onRetry={reload} />;
  }
  return <Reviewed analysis={analysis} results={results.value} />;
}

interface ReviewedProps {
  readonly analysis: Analysis;
  readonly results: Results;
}

/** Player, timeline and flagged frames share a playhead; the models share the player. */
function Reviewed({ analysis, results }: ReviewedProps) {
  const { models, file, rateHz } = results;
  const [chosen, setChosen] = useState(() => models[0]?.model.name ?? "");
  const [playhead] = useState(() => new Playhead());
  const review = models.find(({ model }) => model.name === chosen);
  if (review === undefined) return <p className="panel p-4">No model analysed this file.</p>;
  const kind = file.kind ?? "video";
  const timed = kind === "video";
  const shared = { review, timed, playhead };
  return (
    <>
      <Milestones>{`The analysis is done: ${review.verdict.state === "no_face" ? "no face" : review.verdict.state}`}</Milestones>
      {models.length > 1 && <ModelChoice reviews={models} chosen={chosen} onChoose={setChosen} />}
      <div className="live-check">
        <div className="min-w-0 [grid-area:video]">
          <ReviewMedia key={chosen} id={analysis.id} file={file} kind={kind} model={chosen} playhead={playhead} />
        </div>
        <div className="min-w-0 space-y-4 [grid-area:verdict]">
          <ReviewVerdict {...shared} />
          {analysis.credentials !== null && <Credentials credentials={analysis.credentials} />}
        </div>
        <div className="min-w-0 space-y-4 [grid-area:timeline]">
          {timed && <SeekTimeline review={review} rateHz={rateHz} durationS={file.durationS} playhead={playhead} />}
          <FlaggedStrip key={chosen} id={analysis.id} {...shared} />
        </div>
        <div className="min-w-0 space-y-4 [grid-area:details]">
          <ReviewFacts analysis={analysis} results={results} review={review} />
          <DeleteAnalysis analysis={analysis} onGone={leave} />
        </div>
      </div>
    </>
  );
}

function leave({ id }: Analysis): void {
  openInstead({ page: "analysis", id }, ALL_ANALYSES);
}
