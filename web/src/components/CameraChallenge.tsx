import { useAction } from "../action";
import { useServices } from "../services";
import type { CheckResult } from "../stream/messages";
import { ChallengePanel } from "./ChallengePanel";

interface Props {
  readonly name: string;
  readonly result: CheckResult | null;
  readonly stale: boolean;
}

/** A challenge of the person in front of a camera, to whom the prompts are read aloud. */
export function CameraChallenge({ name, result, stale }: Props) {
  const { cameras } = useServices();
  const { busy, problem, run } = useAction();
  return (
    <ChallengePanel
      challenge={result?.challenge ?? null}
      challenged="other"
      stale={stale}
      problem={problem}
      busy={busy}
      onStart={() => void run(() => cameras.startChallenge(name))}
      onStop={() => void run(() => cameras.stopChallenge(name))}
    />
  );
}
