import { useState } from "react";
import { answerWords, outcomeOf, PROMPTS } from "../challengeWords";
import { probability } from "../figures";
import { useMay } from "../roles";
import type { CheckRecord } from "../stream/checks";
import type { Challenge } from "../stream/messages";
import { moment, span } from "../times";
import { asSentence } from "../words";
import { Button } from "./Button";
import { ConfirmDialog } from "./ConfirmDialog";
import { VerdictBadge } from "./VerdictBadge";

interface Props {
  readonly check: CheckRecord;
  readonly onDelete: () => Promise<void>;
}

/** The record of one check: when, who, the last verdict, the camera's name, and the challenges. */
export function CheckRow({ check, onDelete }: Props) {
  const [asking, setAsking] = useState(false);
  const mayDelete = useMay("admin");
  const { camera, who, beganS, endedS, state, reason, fakeProbability, model, sourceLabel, virtualCamera } = check;
  const { challenges, challengesEnded } = check;
  const details = [
    span(endedS - beganS),
    who === "" ? "" : `by ${who}`,
    fakeProbability === null ? "" : `fake probability ${probability(fakeProbability)}`,
    model?.name,
  ];
  return (
    <li data-testid="check" data-state={state ?? "none"} className="panel p-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <VerdictBadge state={state ?? "idle"} size="small" {...(state === null ? { word: "No verdict" } : {})} />
        <span className="font-semibold">{camera === null ? "Live check" : `Challenge in front of ${camera}`}</span>
        <span>{moment(beganS)}</span>
        {mayDelete && (
          <span className="ml-auto">
            <Button
              onClick={() => {
                setAsking(true);
              }}
            >
              Delete
              <span className="sr-only"> the record of {moment(beganS)}</span>
            </Button>
          </span>
        )}
      </div>
      <p className="mt-1 text-sm text-muted">{details.filter(Boolean).join(" · ")}</p>
      <p className="text-sm">{state === null ? noVerdict(reason) : `Last verdict: ${asSentence(reason)}`}</p>
      {sourceLabel !== "" && (
        <p className="text-sm">
          Camera: “{sourceLabel}”
          {virtualCamera !== null && (
            <span data-testid="check-virtual-camera">
              {" "}
              (by its name {virtualCamera}: software made the picture. The name is only a hint and does not affect the verdict)
            </span>
          )}
          .
        </p>
      )}
      {challenges.map((challenge) => (
        <ChallengeOutcome key={challenge.id} challenge={challenge} />
      ))}
      {challengesEnded > challenges.length && (
        <p className="mt-2 text-sm text-muted">
          The newest {challenges.length} of {challengesEnded} challenges are shown.
        </p>
      )}
      {asking && (
        <ConfirmDialog
          title="Delete this record?"
          action="Delete"
          onConfirm={onDelete}
          onClose={() => {
            setAsking(false);
          }}
        >
          The record of this check will be deleted. The hash chain notes that a record was deleted.
        </ConfirmDialog>
      )}
    </li>
  );
}

/** @param reason what went wrong; empty if nothing did */
function noVerdict(reason: string): string {
  return reason === "" ? "The check ended before anything was analysed." : `No verdict is known: ${reason.replace(/\.?$/, ".")}`;
}

function ChallengeOutcome({ challenge }: { readonly challenge: Challenge }) {
  const { state, done, scoreOutsideMean } = challenge;
  return (
    <div data-testid="check-challenge" data-state={state} className="mt-2 border-t border-edge pt-2 text-sm">
      <p>
        <span className="font-semibold">Challenge.</span> {outcomeOf(challenge)}
      </p>
      {done.length > 0 && (
        <ul aria-label="Movements" className="mt-1 space-y-1">
          {done.map((answer, index) => (
            <li key={index} className="flex flex-wrap justify-between gap-x-4">
              <span>
                <span aria-hidden="true">{answer.followed ? "✓" : "✗"}</span> {PROMPTS[answer.prompt]}: {answerWords(answer)}
              </span>
              <span className="text-muted">fake probability {probability(answer.scoreMean)}</span>
            </li>
          ))}
        </ul>
      )}
      {done.length > 0 && <p className="text-muted">Mean outside the movements: {probability(scoreOutsideMean)}</p>}
    </div>
  );
}
