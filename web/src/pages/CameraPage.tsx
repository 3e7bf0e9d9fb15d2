import { useMemo, useSyncExternalStore } from "react";
import { cameraVerdict, shownCamera, titleOf } from "../cameraWords";
import { CameraActions } from "../components/CameraActions";
import { CameraChallenge } from "../components/CameraChallenge";
import { CameraFacts } from "../components/CameraFacts";
import { CameraPast } from "../components/CameraPast";
import { CameraStage } from "../components/CameraStage";
import { Empty, Failed, Loading } from "../components/ListState";
import { VerdictPanel } from "../components/VerdictPanel";
import { hrefOf } from "../route";
import { useServices } from "../services";
import { useTitle } from "../title";
import type { SeenCamera } from "../stream/fleet";
import type { Status } from "../stream/server";

interface Props {
  readonly name: string;
  /** null until it has been read */
  readonly status: Status | null;
}

/** Used until the server has sent its own limit for stale results. */
const STALE_S = 1;
/** Periods after which a result counts as late: a slow camera's results are not stale because they are rare. */
const RESULTS_MISSED = 3;

/** One camera: live picture, verdict of each face, and the last hours. */
export function CameraPage({ name, status }: Props) {
  const { fleet } = useServices();
  const { cameras, failure, feed, atMs } = useSyncExternalStore(fleet.subscribe, fleet.snapshot);
  const seen = cameras?.find(({ camera }) => camera.name === name);
  const title = seen === undefined ? name : titleOf(seen.camera);
  useTitle(title);

  const retry = (): void => {
    fleet.retry();
  };
  return (
    <div className="space-y-4">
      <nav aria-label="Breadcrumbs" className="text-sm">
        <a href={hrefOf({ page: "cameras" })} className="underline">
          All cameras
        </a>
      </nav>
      <h1 className="text-xl font-semibold">{title}</h1>
      {cameras === null && failure === null && <Loading>Loading the camera …</Loading>}
      {cameras === null && failure !== null && (
        <Failed what="The camera could not be loaded." failure={failure} retrying={feed === "connecting"} onRetry={retry} />
      )}
      {cameras !== null && seen === undefined && (
        <Empty>
          <p>There is no camera with this name. It may have been removed.</p>
        </Empty>
      )}
      {seen !== undefined && <Watched seen={seen} fresh={shownCamera(seen, feed, atMs).fresh} status={status} />}
    </div>
  );
}

interface WatchedProps {
  readonly seen: SeenCamera;
  readonly fresh: boolean;
  readonly status: Status | null;
}

function Watched({ seen: { camera }, fresh, status }: WatchedProps) {
  const { resultsOf } = useServices();
  const staleS = Math.max(status?.staleS ?? STALE_S, RESULTS_MISSED / camera.settings.rateHz);
  const results = useMemo(() => resultsOf(camera.name, staleS), [resultsOf, camera.name, staleS]);
  const shown = useSyncExternalStore(results.subscribe, results.snapshot);
  const thresholds = status?.model.thresholds ?? null;
  return (
    <div className="live-check">
      <div className="[grid-area:video]">
        <CameraStage camera={camera} fresh={fresh} />
        <CameraActions camera={camera} />
      </div>
      <div className="[grid-area:verdict] md:sticky md:top-4">
        <VerdictPanel
          verdict={cameraVerdict(camera, shown)}
          result={shown.result}
          thresholds={thresholds}
          limits={status?.model.limits ?? []}
        />
      </div>
      <div className="min-w-0 space-y-4 [grid-area:timeline]">
        {camera.state === "live" && <CameraChallenge name={camera.name} result={shown.result} stale={shown.stale} />}
        <CameraPast name={camera.name} thresholds={thresholds} />
      </div>
      <div className="[grid-area:details]">
        <CameraFacts camera={camera} />
      </div>
    </div>
  );
}
