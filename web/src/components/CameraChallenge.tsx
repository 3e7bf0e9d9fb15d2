import { useState } from "react";
import { useServices } from "../services";
import { asFailure } from "../stream/failure";
import type { CheckResult } from "../stream/messages";
import { asSentence } from "../words";
import { ChallengePanel } from "./ChallengePanel";

interface Props {
  readonly name: string;
  readonly result: CheckResult | null;
}

/** A challenge of the person in front of a camera, to whom the prompts are read aloud. */
export function CameraChallenge({ name, result }: Props) {
  const { cameras } = useServices();
  const [problem, setProblem] = useState("");
  const ask = (work: Promise<void>): void => {
    setProblem("");
    work.catch((error: unknown) => {
      setProblem(asSentence(asFailure(error).detail));
    });
  };
  return (
    <ChallengePanel
      challenge={result?.challenge ?? null}
      challenged="other"
      problem={problem}
      onStart={() => {
        ask(cameras.startChallenge(name));
      }}
      onStop={() => {
        ask(cameras.stopChallenge(name));
      }}
    />
  );
}
