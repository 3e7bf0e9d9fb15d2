import { useEffect, useSyncExternalStore } from "react";
import { CAMERA_WORDS, titleOf } from "../cameraWords";
import { useFile } from "../pictureHooks";
import { useServices } from "../services";
import { snapshotPath } from "../stream/cameraServer";
import type { Camera } from "../stream/cameras";
import { asSentence, browserOf } from "../words";
import { Button } from "./Button";
import { Countdown } from "./Countdown";
import { Message } from "./Message";
import { Notice, StageBox } from "./StageBox";

const WIDTH_PX = 960;
/** The picture is read again this often, and when the camera is no longer live: a stopped camera has none to read. */
const REFRESH_MS = 10_000;

interface Props {
  readonly camera: Camera;
  /** The camera's picture is current. */
  readonly fresh: boolean;
}

/** The camera's live picture, or its last one with the reason why there is no newer one. */
export function CameraStage({ camera, fresh }: Props) {
  const { player } = useServices();
  const { name } = camera;
  const shown = useSyncExternalStore(player.subscribe, player.snapshot);
  const live = camera.state === "live";
  const last = useFile(camera.width === null ? null : snapshotPath(name, WIDTH_PX), live ? REFRESH_MS : null);
  useEffect(() => {
    if (!live) return undefined;
    player.play(name);
    return () => {
      player.stop();
    };
  }, [player, name, live]);

  const poster = last.url !== null && (
    <img src={last.url} alt="" className="absolute inset-0 size-full rounded-lg object-contain opacity-40 grayscale" />
  );
  return (
    <StageBox
      picture={live && shown.camera === name ? shown.picture : null}
      dimmed={!fresh}
      label={`Live picture of ${titleOf(camera)}, with a badge on each face`}
      poster={poster}
    >
      {!fresh && <div className="hatched absolute inset-0 rounded-lg" />}
      {!(live && shown.state === "playing") && (
        <div className="relative grid place-items-center p-4 text-center sm:p-6">
          <div className="rounded-lg bg-stage/80 p-3">
            {live ? (
              <Player
                onRetry={() => {
                  player.play(name);
                }}
              />
            ) : (
              <Away camera={camera} />
            )}
          </div>
        </div>
      )}
    </StageBox>
  );
}

/** The camera sends no video. */
function Away({ camera }: { readonly camera: Camera }) {
  const { state, reason, retryAtS } = camera;
  return (
    <Notice title={CAMERA_WORDS[state]}>
      {asSentence(reason)}
      {retryAtS !== null && state !== "stopped" && (
        <>
          {" "}
          Next try <Countdown key={retryAtS} untilMs={retryAtS * 1000} clock={Date.now} />.
        </>
      )}
    </Notice>
  );
}

/** The camera sends video, and the page is connecting to it. */
function Player({ onRetry }: { readonly onRetry: () => void }) {
  const { player } = useServices();
  const { state, failure, retryAtMs } = useSyncExternalStore(player.subscribe, player.snapshot);
  if (failure === null) return <Notice title="Connecting">The video will appear in a moment.</Notice>;
  return (
    <Message failure={failure} source={null} browser={browserOf(navigator.userAgent)}>
      {state === "failed" ? (
        <Button onClick={onRetry}>
          <span className="text-ink">Try again</span>
        </Button>
      ) : (
        <p className="font-semibold">Reconnecting {retryAtMs !== null && <Countdown key={retryAtMs} untilMs={retryAtMs} />}</p>
      )}
    </Message>
  );
}
