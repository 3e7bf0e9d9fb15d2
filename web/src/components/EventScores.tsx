import { useCallback } from "react";
import { useResource } from "../resource";
import { useServices } from "../services";
import type { CameraEvent } from "../stream/events";
import { Failed, Loading } from "./ListState";
import { ScoreTimeline, type ScorePast } from "./ScoreTimeline";

/** Time shown before and after the event. */
const AROUND_S = 60;
/** Older scores are kept by the minute, and a few minutes do not make a line. */
const AROUND_OLD_S = 1800;

/** The camera's scores around the event. */
export function EventScores({ event }: { readonly event: CameraEvent }) {
  const { cameras } = useServices();
  const load = useCallback(async (): Promise<ScorePast> => {
    const read = async (aroundS: number): Promise<ScorePast> => {
      const fromS = Math.floor(event.beganS - aroundS);
      const toS = Math.ceil(Math.min(Date.now() / 1000, (event.endedS ?? Number.POSITIVE_INFINITY) + aroundS));
      const [scores, states] = await Promise.all([cameras.scores(event.camera, fromS, toS), cameras.states(event.camera, fromS, toS)]);
      return { scores, states, events: [event], fromS, toS };
    };
    const near = await read(AROUND_S);
    return near.scores.items.length > 0 ? near : read(AROUND_OLD_S);
  }, [cameras, event]);
  const [past, reload] = useResource(load);
  if (past.state === "loading") {
    return (
      <div className="panel min-h-80 p-4">
        <Loading>Loading the scores …</Loading>
      </div>
    );
  }
  if (past.state === "failed") {
    return <Failed what="The scores could not be loaded." failure={past.failure} retrying={past.retrying} onRetry={reload} />;
  }
  return <ScoreTimeline title="Scores around the event" past={past.value} thresholds={event.model?.thresholds ?? null} />;
}
