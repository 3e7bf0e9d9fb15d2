import { useCallback, useState, useSyncExternalStore } from "react";
import { useAnalyses } from "../analysisHooks";
import { AnalysisFilters } from "../components/AnalysisFilters";
import { AddressForm } from "../components/AddressForm";
import { AnalysisRow } from "../components/AnalysisRow";
import { Button } from "../components/Button";
import { DropZone } from "../components/DropZone";
import { Empty, Failed, Loading } from "../components/ListState";
import { ModelTicks } from "../components/ModelTicks";
import { Milestones } from "../components/ProgressBar";
import { UploadRow } from "../components/UploadRow";
import { quarter, shownAnalysis } from "../analysisWords";
import { readModels } from "../modelCards";
import { useResource } from "../resource";
import { useMay } from "../roles";
import { useServices } from "../services";
import { analysisQuery, EVERY_ANALYSIS, hasEnded, type Analysis, type AnalysisFilter } from "../stream/analyses";

/** Uploads of videos and pictures, and the library of earlier ones. */
export function Analyses({ filter }: { readonly filter: AnalysisFilter }) {
  const maySend = useMay("operator");
  return (
    <div className="mx-auto max-w-4xl space-y-4">
      <h1 className="text-xl font-semibold">Analyses</h1>
      {maySend && <Sending />}
      <h2 className="pt-2 text-lg font-semibold">Earlier analyses</h2>
      <AnalysisFilters filter={filter} />
      <Library key={analysisQuery(filter).toString()} filter={filter} />
    </div>
  );
}

/** The upload form, and uploads in progress. */
function Sending() {
  const { server, uploads } = useServices();
  const [models, reload] = useResource(useCallback(() => server.models(readModels), [server]));
  const [status] = useResource(useCallback(() => server.status(), [server]));
  const [ticked, setTicked] = useState<ReadonlySet<string> | null>(null);
  const waiting = useSyncExternalStore(uploads.subscribe, uploads.snapshot);
  const chosen = ticked ?? new Set(models.state === "ready" ? [models.value.judging] : []);
  const key = [...chosen].join("\n");
  const onFiles = useCallback(
    (files: readonly File[]) => {
      uploads.add(files, key === "" ? [] : key.split("\n"));
    },
    [uploads, key],
  );
  const lacking = models.state === "loading" ? "Loading the models …" : "Choose at least one model below.";
  const problem = chosen.size === 0 && models.state !== "failed" ? lacking : "";
  return (
    <>
      <DropZone problem={problem} onFiles={onFiles} />
      {status.state === "ready" && status.value.reviewUrls && <AddressForm disabled={problem !== ""} models={[...chosen]} />}
      {models.state === "ready" && <ModelTicks models={models.value} chosen={chosen} onChoose={setTicked} />}
      {models.state === "failed" && (
        <Failed
          what="The list of models could not be loaded: the model of live checks is used."
          failure={models.failure}
          retrying={models.retrying}
          onRetry={reload}
        />
      )}
      {waiting.length > 0 && (
        <ul aria-label="Uploads in progress" className="space-y-2">
          {waiting.map((upload) => (
            <UploadRow
              key={upload.id}
              upload={upload}
              onRetry={() => {
                uploads.retry(upload.id);
              }}
              onDrop={() => {
                uploads.drop(upload.id);
              }}
            />
          ))}
        </ul>
      )}
    </>
  );
}

function Library({ filter }: { readonly filter: AnalysisFilter }) {
  const { list, readOn, put, drop } = useAnalyses(filter);
  const { items, next, failure, reading } = list;
  return (
    <>
      {items === null && failure === null && <Loading>Loading the analyses …</Loading>}
      {items?.length === 0 && <None filter={filter} />}
      <Milestones>{summary(items ?? [])}</Milestones>
      {items !== null && items.length > 0 && (
        <ul aria-label="Analyses" className="space-y-2">
          {items.map((analysis) => (
            <AnalysisRow
              key={analysis.id}
              analysis={analysis}
              onChanged={put}
              onGone={() => {
                drop(analysis.id);
              }}
            />
          ))}
        </ul>
      )}
      {failure !== null && <Failed what="The analyses could not be loaded." failure={failure} retrying={reading} onRetry={readOn} />}
      {failure === null && next !== null && (
        <Button testId="older" disabled={reading} onClick={readOn}>
          {reading ? "Loading …" : "Older analyses"}
        </Button>
      )}
    </>
  );
}

function None({ filter }: { readonly filter: AnalysisFilter }) {
  const every = analysisQuery(filter).toString() === analysisQuery(EVERY_ANALYSIS).toString();
  return (
    <Empty>
      <p className="font-semibold">{every ? "Nothing has been analysed yet." : "No analysis matches."}</p>
      <p>{every ? "Drop a video or a picture above, or choose one." : "Try another name or state above."}</p>
    </Empty>
  );
}

/** Announcement about the newest analysis. */
function summary([newest]: readonly Analysis[]): string {
  if (newest === undefined) return "";
  if (!hasEnded(newest)) return newest.state === "running" ? quarter(`Analysing ${newest.file.name}`, newest.doneShare) : "";
  return `${newest.file.name}: ${shownAnalysis(newest).word}`;
}
