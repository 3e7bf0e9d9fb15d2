import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useServices } from "../services";
import type { PlayerState } from "../stream/whepPlayer";

const WORDS: Readonly<Record<PlayerState, string>> = {
  idle: "",
  connecting: "Connecting …",
  playing: "Waiting for the picture …",
  waiting: "Reconnecting …",
  failed: "No live picture",
};

interface Props {
  readonly title: string;
  /** Results come, so that the picture is not one that stands still because the connection is interrupted. */
  readonly fresh: boolean;
}

/** The live picture over the last one, with a label in its corner that says which of the two is visible. */
export function LiveCorner({ title, fresh }: Props) {
  const { player } = useServices();
  const { state, picture, failure } = useSyncExternalStore(player.subscribe, player.snapshot);
  const video = useRef<HTMLVideoElement>(null);
  const [moving, setMoving] = useState(false);
  useEffect(() => {
    if (video.current !== null) video.current.srcObject = picture;
  }, [picture]);
  const live = state === "playing" && moving;
  return (
    <>
      <video
        ref={video}
        data-testid="live-picture"
        aria-label={`Live picture of ${title}`}
        autoPlay
        muted
        playsInline
        onPlaying={() => {
          setMoving(true);
        }}
        onEmptied={() => {
          setMoving(false);
        }}
        className={`absolute inset-0 size-full bg-stage object-contain ${live ? "" : "invisible"}`}
      />
      <span className="absolute top-2 left-2 rounded bg-stage/80 px-2 py-0.5 text-xs text-white" title={failure?.detail}>
        {live ? (fresh ? "Live" : "No new results") : WORDS[state]}
      </span>
    </>
  );
}
