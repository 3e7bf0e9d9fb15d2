import { useState } from "react";
import { useAnnotated } from "../analysisHooks";
import { annotatedSentence, quarter } from "../analysisWords";
import type { Playhead } from "../playhead";
import type { UploadedFile } from "../stream/analyses";
import { useMay } from "../roles";
import { annotatedPath, mediaPath } from "../stream/analysisServer";
import { asSentence } from "../words";
import { Button } from "./Button";
import { Milestones, ProgressBar } from "./ProgressBar";
import { ReviewStage } from "./ReviewStage";
import { SaveLink } from "./SaveLink";

interface Props {
  readonly id: string;
  readonly file: UploadedFile;
  readonly kind: "image" | "video";
  readonly model: string;
  readonly playhead: Playhead;
}

/** The original file, or the annotated one once it has been created. */
export function ReviewMedia({ id, file, kind, model, playhead }: Props) {
  const mayAnnotate = useMay("operator");
  const { annotated, failure, make } = useAnnotated(id, model);
  const [wanted, setWanted] = useState(false);
  const made = annotated.state === "done";
  const shown = wanted && made;
  const path = shown ? annotatedPath(id, model, kind) : mediaPath(id);
  const what = kind === "image" ? "picture" : "video";
  const codec = file.codec === null ? "" : ` (${file.codec})`;
  const cure = made ? `See the annotated ${what} below.` : `Create the annotated ${what} below: every browser can show that one.`;
  const aspect = file.width === null || file.height === null ? null : file.width / file.height;
  return (
    <div className="space-y-3">
      <ReviewStage
        key={path}
        path={path}
        kind={kind}
        bytes={file.bytes}
        aspect={aspect}
        label={shown ? `${file.name}, annotated` : file.name}
        playhead={playhead}
        unplayable={
          shown ? "This browser cannot show it. Save it to view it elsewhere." : `This browser cannot show this file${codec}. ${cure}`
        }
      />
      <div className="flex flex-wrap items-center gap-2" data-testid="annotated" data-state={annotated.state}>
        {made ? (
          <>
            <Which annotated={shown} onChoose={setWanted} />
            <SaveLink
              path={annotatedPath(id, model, kind)}
              name={`annotated-${model}-${file.name}.${kind === "image" ? "jpg" : "mp4"}`}
              testId="save-annotated"
            >
              Save the annotated {what}
            </SaveLink>
          </>
        ) : !mayAnnotate ? null : (
          <Button testId="annotate" disabled={annotated.state === "queued" || annotated.state === "running"} onClick={make}>
            {annotated.state === "failed" ? `Try the annotated ${what} again` : `Create the annotated ${what}`}
          </Button>
        )}
        {(annotated.state === "queued" || annotated.state === "running") && (
          <div className="min-w-40 flex-1 space-y-1 text-sm">
            <p>{annotatedSentence(annotated)}</p>
            <ProgressBar label={`Creating the annotated ${what}`} share={annotated.doneShare} words={annotatedSentence(annotated)} />
          </div>
        )}
        {annotated.state === "failed" && <p role="alert">{annotatedSentence(annotated)}</p>}
        {failure !== null && <p role="alert">{asSentence(failure.detail)}</p>}
        <Milestones>
          {annotated.state === "running"
            ? quarter(`The annotated ${what}`, annotated.doneShare)
            : made
              ? `The annotated ${what} is ready`
              : ""}
        </Milestones>
      </div>
    </div>
  );
}

interface WhichProps {
  readonly annotated: boolean;
  readonly onChoose: (annotated: boolean) => void;
}

function Which({ annotated, onChoose }: WhichProps) {
  return (
    <div role="group" aria-label="Show" className="flex gap-1">
      {([false, true] as const).map((which) => (
        <button
          key={String(which)}
          type="button"
          aria-pressed={which === annotated}
          data-testid={which ? "show-annotated" : "show-original"}
          onClick={() => {
            onChoose(which);
          }}
          className="h-11 cursor-pointer rounded-lg px-3 text-muted aria-pressed:bg-surface aria-pressed:font-semibold aria-pressed:text-ink"
        >
          {which ? "Annotated" : "Original"}
        </button>
      ))}
    </div>
  );
}
