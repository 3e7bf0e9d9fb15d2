import { answerWords, outcomeOf, promptOf, PROMPTS, WAITS, type Challenged } from "../challengeWords";
import { probability } from "../figures";
import type { Challenge } from "../stream/messages";
import { Button } from "./Button";

interface Props {
  /** null: there was none, or it was cleared */
  readonly challenge: Challenge | null;
  readonly challenged: Challenged;
  /** No new result, so that a prompt and its time are out of date. */
  readonly stale: boolean;
  /** Why it could not be started; empty without an error. */
  readonly problem?: string;
  /** A request is in progress. */
  readonly busy?: boolean;
  readonly onStart: () => void;
  /** Stops a running challenge, or clears an ended one. */
  readonly onStop: () => void;
}

/** A challenge: random movements that a person can follow and a recording cannot, with the outcome of each. */
export function ChallengePanel({ challenge, challenged, stale, problem = "", busy = false, onStart, onStop }: Props) {
  const prompt = challenge === null ? null : promptOf(challenge);
  return (
    <section aria-labelledby="challenge-title" data-testid="challenge" data-state={challenge?.state ?? "none"} className="panel p-4">
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <h2 id="challenge-title" className="font-semibold">
          {challenged === "self" ? "Challenge" : "Ask them to move"}
        </h2>
        {prompt === null ? (
          <span className="flex gap-2">
            {challenge !== null && (
              <Button disabled={busy} onClick={onStop}>
                Close
              </Button>
            )}
            <Button testId="start-challenge" disabled={busy} onClick={onStart}>
              {challenge === null ? "Start" : "Repeat"}
            </Button>
          </span>
        ) : (
          <Button testId="stop-challenge" disabled={busy} onClick={onStop}>
            Stop
          </Button>
        )}
      </div>
      {challenge === null ? (
        <p className="mt-2 text-sm text-muted">
          Three to five random movements, such as turning the head, each within a few seconds.{" "}
          {challenged === "other" && "Read them to the other person. "}A person who makes them in time is live and not a recording; a
          challenge shows no more than that.
        </p>
      ) : (
        <Running challenge={challenge} challenged={challenged} prompt={prompt} waits={stale && prompt !== null} />
      )}
      <p role="alert" className="mt-2 text-sm font-semibold empty:hidden">
        {problem}
      </p>
    </section>
  );
}

interface RunningProps {
  readonly challenge: Challenge;
  readonly challenged: Challenged;
  readonly prompt: string | null;
  readonly waits: boolean;
}

function Running({ challenge, challenged, prompt, waits }: RunningProps) {
  const { now, done, scoreOutsideMean } = challenge;
  return (
    <>
      <div role="status" data-testid="prompt" className="mt-3 min-h-14">
        {prompt !== null && !waits && challenged === "other" && <p className="text-sm text-muted">Read aloud:</p>}
        <p className={prompt === null || waits ? "" : "text-xl font-semibold"}>
          {waits ? WAITS : prompt === null ? outcomeOf(challenge) : `${prompt}.`}
        </p>
      </div>
      {/* Counts down, so it is not said aloud. */}
      <p aria-hidden="true" className="min-h-5 text-sm text-muted">
        {now !== null && !waits && `Movement ${now.number} of ${now.of}, ${Math.ceil(now.secondsLeft)} s left`}
      </p>
      {done.length > 0 && (
        <ul aria-label="Movements so far" className="mt-2 space-y-1 text-sm">
          {done.map((answer, index) => (
            <li key={index} data-testid="answer" className="flex flex-wrap justify-between gap-x-4 border-t border-edge pt-1">
              <span>
                <span aria-hidden="true">{answer.followed ? "✓" : "✗"}</span> {PROMPTS[answer.prompt]}:{" "}
                <span className="font-semibold">{answerWords(answer)}</span>
              </span>
              <span className="text-muted">fake probability {probability(answer.scoreMean)}</span>
            </li>
          ))}
        </ul>
      )}
      {done.length > 0 && (
        <p className="mt-2 text-sm text-muted">
          Mean outside the movements: {probability(scoreOutsideMean)}. Face swaps often fail when the head turns or a hand covers the face:
          look closely if the probability jumps. These scores do not affect the verdict.
        </p>
      )}
    </>
  );
}
