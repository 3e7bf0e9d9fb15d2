import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { exact, probability } from "../figures";
import { useFile } from "../pictureHooks";
import type { Playhead } from "../playhead";
import type { FlaggedFrame, ModelReview } from "../stream/analysisResults";
import { flaggedPath } from "../stream/analysisServer";
import { flaggedBeside } from "../stream/reviewTimeline";
import { mediaTime } from "../times";
import { asSentence } from "../words";
import { Button } from "./Button";
import { Dialog } from "./Dialog";

interface Props {
  readonly id: string;
  readonly review: ModelReview;
  /** The only frame of a picture has no time. */
  readonly timed: boolean;
  readonly playhead: Playhead;
}

/** The frames with the highest scores, as a strip; opening one seeks the player to it. */
export function FlaggedStrip({ id, review, timed, playhead }: Props) {
  const { flagged, model } = review;
  const [opened, setOpened] = useState<number | null>(null);
  const open = (frame: FlaggedFrame): void => {
    setOpened(frame.n);
    if (timed) playhead.seek(frame.timeS);
  };
  const shown = flagged.find(({ n }) => n === opened);
  return (
    <section aria-labelledby="flagged-title" data-testid="flagged-strip" className="panel p-4">
      <h2 id="flagged-title" className="font-semibold">
        Flagged frames
      </h2>
      {flagged.length === 0 ? (
        <p className="mt-2 text-sm text-muted">None: no single frame scored {exact(model.thresholds.fakeEnter)} or more.</p>
      ) : (
        <>
          <p className="mt-1 text-sm text-muted">
            Single frames that scored {exact(model.thresholds.fakeEnter)} or more. One such frame is not a verdict.
          </p>
          <ul aria-label="Flagged frames" className="mt-3 flex snap-x gap-3 overflow-x-auto p-1 print:flex-wrap">
            {flagged.map((frame) => (
              <Item key={frame.n} id={id} model={model.name} frame={frame} timed={timed} onOpen={open} />
            ))}
          </ul>
        </>
      )}
      {shown !== undefined && (
        <Opened
          id={id}
          model={model.name}
          frame={shown}
          count={flagged.length}
          timed={timed}
          onMove={(by) => {
            const beside = flaggedBeside(flagged, shown.n, by);
            if (beside !== undefined) open(beside);
          }}
          onClose={() => {
            setOpened(null);
          }}
        />
      )}
    </section>
  );
}

interface ItemProps {
  readonly id: string;
  readonly model: string;
  readonly frame: FlaggedFrame;
  readonly timed: boolean;
  readonly onOpen: (frame: FlaggedFrame) => void;
}

function Item({ id, model, frame, timed, onOpen }: ItemProps) {
  const item = useRef<HTMLLIElement>(null);
  // Loaded at once and not lazily, so that they are printed; there are at most review.max_flagged.
  const { url, failure } = useFile(flaggedPath(id, model, frame.n));
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
    const beside = event.key === "ArrowRight" ? item.current?.nextElementSibling : item.current?.previousElementSibling;
    event.preventDefault();
    beside?.querySelector("button")?.focus();
  };
  return (
    <li ref={item} className="w-40 shrink-0 snap-start">
      <button
        type="button"
        data-testid="flagged"
        onClick={() => {
          onOpen(frame);
        }}
        onKeyDown={onKeyDown}
        className="block w-full cursor-pointer rounded-lg text-left text-sm"
      >
        <span className="relative block aspect-video overflow-hidden rounded-lg bg-stage">
          {url === null ? (
            <span className="absolute inset-0 grid place-items-center p-2 text-white">
              {failure === null ? "Loading …" : "Not available"}
            </span>
          ) : (
            <img src={url} alt="" className="absolute inset-0 size-full object-contain" />
          )}
        </span>
        <span className="mt-1 block">{caption(frame, timed)}</span>
      </button>
    </li>
  );
}

interface OpenedProps {
  readonly id: string;
  readonly model: string;
  readonly frame: FlaggedFrame;
  readonly count: number;
  readonly timed: boolean;
  readonly onMove: (by: number) => void;
  readonly onClose: () => void;
}

/** One flagged frame, enlarged, with the heat map of its face. */
function Opened({ id, model, frame, count, timed, onMove, onClose }: OpenedProps) {
  const picture = useFile(flaggedPath(id, model, frame.n));
  const map = useFile(frame.map ? flaggedPath(id, model, frame.n, true) : null);
  const move = useRef(onMove);
  useEffect(() => {
    move.current = onMove;
  });
  useEffect(() => {
    const onKeyDown = ({ key }: globalThis.KeyboardEvent): void => {
      if (key === "ArrowRight") move.current(1);
      if (key === "ArrowLeft") move.current(-1);
    };
    window.addEventListener("keydown", onKeyDown);
    return () => {
      window.removeEventListener("keydown", onKeyDown);
    };
  }, []);
  return (
    <Dialog title={`Flagged frame ${frame.n} of ${count}`} onClose={onClose} testId="flagged-dialog">
      <p role="status" data-testid="flagged-caption">
        {caption(frame, timed)}
      </p>
      <Shown file={picture} testId="flagged-picture" alt={`The frame, with a box around face ${frame.track}`} wide />
      {frame.map && (
        <>
          <Shown
            file={map}
            testId="flagged-map"
            alt={`Face ${frame.track}, coloured by how much each part affected the score`}
            wide={false}
          />
          <p className="mt-1 text-sm text-muted">
            The face as given to the model. Warm colours mark what raised the score most. The map shows where the model looked, not what was
            forged.
          </p>
        </>
      )}
      <div className="mt-4 flex flex-wrap gap-2">
        <Button
          testId="flagged-before"
          disabled={count < 2}
          onClick={() => {
            onMove(-1);
          }}
        >
          Previous
        </Button>
        <Button
          testId="flagged-after"
          disabled={count < 2}
          onClick={() => {
            onMove(1);
          }}
        >
          Next
        </Button>
        <Button primary onClick={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}

interface ShownProps {
  readonly file: ReturnType<typeof useFile>;
  readonly alt: string;
  readonly testId: string;
  readonly wide: boolean;
}

function Shown({ file: { url, failure }, alt, testId, wide }: ShownProps) {
  return (
    <div
      className={`relative mt-3 grid place-items-center overflow-hidden rounded-lg bg-stage ${wide ? "aspect-video" : "aspect-square w-48"}`}
    >
      {url !== null && <img src={url} alt={alt} data-testid={testId} className="absolute inset-0 size-full object-contain" />}
      {url === null && <p className="p-4 text-sm text-white">{failure === null ? "Loading …" : asSentence(failure.detail)}</p>}
    </div>
  );
}

function caption({ timeS, track, score }: FlaggedFrame, timed: boolean): string {
  return `${timed ? `${mediaTime(timeS, 1)} · ` : ""}face ${track} · ${probability(score)}`;
}
