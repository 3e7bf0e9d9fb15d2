import { quarter, uploadSentence } from "../analysisWords";
import type { Upload } from "../stream/uploads";
import { Button } from "./Button";
import { Milestones, ProgressBar } from "./ProgressBar";

interface Props {
  readonly upload: Upload;
  readonly onRetry: () => void;
  readonly onDrop: () => void;
}

/** A file that is being uploaded. */
export function UploadRow({ upload, onRetry, onDrop }: Props) {
  const { file, state, sentBytes } = upload;
  const failed = state === "failed";
  const share = file.size === 0 ? 0 : sentBytes / file.size;
  const words = uploadSentence(upload);
  return (
    <li data-testid="upload" data-state={state} className="panel flex flex-wrap items-center gap-x-4 gap-y-2 p-3">
      <div className="min-w-0 flex-1 basis-60 space-y-1">
        <p className="font-semibold">{file.name}</p>
        <p role={failed ? "alert" : undefined} className={`text-sm ${failed ? "font-semibold" : "text-muted"}`}>
          {failed ? `Not sent. ${words}` : words}
        </p>
        {!failed && <ProgressBar label={`Sending ${file.name}`} share={share} words={words} />}
        <Milestones>{state === "sending" ? quarter(`Sending ${file.name}`, share) : ""}</Milestones>
      </div>
      <div className="flex gap-2">
        {failed && <Button onClick={onRetry}>Try again</Button>}
        <Button testId="drop-upload" onClick={onDrop}>
          {failed ? "Remove" : "Cancel"}
          <span className="sr-only"> {file.name}</span>
        </Button>
      </div>
    </li>
  );
}
