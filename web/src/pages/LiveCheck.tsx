import { useEffect, useState } from "react";
import { Button } from "../components/Button";
import { ChallengePanel } from "../components/ChallengePanel";
import { DetailsDrawer } from "../components/DetailsDrawer";
import { SourcePicker } from "../components/SourcePicker";
import { Stage } from "../components/Stage";
import { Timeline } from "../components/Timeline";
import { VerdictPanel } from "../components/VerdictPanel";
import { VirtualCameraHint } from "../components/VirtualCameraHint";
import { useMay } from "../roles";
import { hrefOf } from "../route";
import type { CheckStream, StreamSnapshot, StreamState } from "../stream/checkStream";
import type { Status } from "../stream/server";
import { listCameras, type Camera, type Media, type SourceChoice } from "../stream/source";
import { browserOf, shownVerdict } from "../words";

interface Props {
  readonly stream: CheckStream;
  readonly snapshot: StreamSnapshot;
  readonly status: Status | null;
  readonly media: Media | undefined;
  readonly onToken: () => void;
}

const RUNNING: ReadonlySet<StreamState> = new Set(["asking", "connecting", "waiting", "live", "reconnecting"]);

export function LiveCheck({ stream, snapshot, status, media, onToken }: Props) {
  const [choice, setChoice] = useState<SourceChoice>({ kind: "camera", deviceId: null });
  const cameras = useCameras(media, snapshot.state);
  const mayCheck = useMay("operator");
  const running = RUNNING.has(snapshot.state);
  const thresholds = snapshot.hello?.thresholds ?? status?.model.thresholds ?? null;

  const choose = (chosen: SourceChoice): void => {
    setChoice(chosen);
    if (running) void stream.start(chosen);
  };
  // Prompts are right below the video; before a challenge, the verdict comes first on a phone.
  const asked = (snapshot.result?.challenge ?? null) !== null;
  const challenge = snapshot.state === "live" && (
    <ChallengePanel
      challenge={snapshot.result?.challenge ?? null}
      challenged={snapshot.source === "screen" ? "other" : "self"}
      stale={snapshot.stale}
      onStart={() => {
        stream.challenge("start");
      }}
      onStop={() => {
        stream.challenge("stop");
      }}
    />
  );
  return (
    <div className="live-check">
      <h1 className="sr-only">Live check</h1>
      <div className="[grid-area:video]">
        <Stage snapshot={snapshot} browser={browserOf(navigator.userAgent)} host={window.location.host} onToken={onToken} />
        <div className="mt-4 flex items-center gap-4">
          {running ? (
            <Button
              primary
              testId="stop"
              onClick={() => {
                stream.stop();
              }}
            >
              Stop
            </Button>
          ) : (
            <Button
              primary
              testId="start"
              disabled={!mayCheck}
              onClick={() => {
                void stream.start(choice);
              }}
            >
              Start check
            </Button>
          )}
          <SourcePicker choice={choice} cameras={cameras} canShare={media?.getDisplayMedia !== undefined} onChoose={choose} />
        </div>
        {!mayCheck && (
          <p data-testid="may-not" className="panel mt-3 p-3 text-sm">
            Live checks are for operators and admins. An admin can change your role.
          </p>
        )}
        <VirtualCameraHint label={snapshot.sourceLabel} program={snapshot.hello?.virtualCamera ?? null} />
        {asked && <div className="mt-4">{challenge}</div>}
      </div>
      <div className="[grid-area:verdict] md:sticky md:top-4">
        <VerdictPanel
          verdict={shownVerdict(snapshot)}
          result={snapshot.result}
          thresholds={thresholds}
          limits={status?.model.limits ?? []}
        />
      </div>
      <div className="min-w-0 space-y-4 [grid-area:timeline]">
        {!asked && challenge}
        <Timeline history={snapshot.history} thresholds={thresholds} nowS={snapshot.atMs / 1000} />
      </div>
      <div className="[grid-area:details]">
        <DetailsDrawer snapshot={snapshot} />
        {mayCheck && (
          <p className="mt-3 text-sm">
            <a href={hrefOf({ page: "checks" })} className="underline">
              Earlier checks
            </a>
          </p>
        )}
      </div>
    </div>
  );
}

/** The cameras, listed again when one is plugged in or out, and when their names become known after one was allowed. */
function useCameras(media: Media | undefined, state: StreamState): readonly Camera[] {
  const [cameras, setCameras] = useState<readonly Camera[]>([]);
  const named = state === "live";
  useEffect(() => {
    if (media === undefined) return undefined;
    let wanted = true;
    const read = (): void => {
      listCameras(media).then(
        (found) => {
          if (wanted) setCameras(found);
        },
        () => {
          if (wanted) setCameras([]); // a browser that does not list them can still open the default one
        },
      );
    };
    read();
    media.addEventListener("devicechange", read);
    return () => {
      wanted = false;
      media.removeEventListener("devicechange", read);
    };
  }, [media, named]);
  return cameras;
}
