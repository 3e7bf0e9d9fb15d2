import { useEffect, useRef, useState, type ReactNode } from "react";
import { useMedia, type Media } from "../analysisHooks";
import { size } from "../analysisWords";
import type { Playhead } from "../playhead";
import { asSentence } from "../words";
import { Button } from "./Button";

interface Props {
  readonly path: string;
  readonly kind: "image" | "video";
  readonly bytes: number;
  /** width / height of the upright picture; null if unknown */
  readonly aspect: number | null;
  readonly label: string;
  readonly playhead: Playhead;
  /** Text if the browser cannot show the file. */
  readonly unplayable: string;
}

/** The uploaded file, or the annotated one, in the browser's own player. */
export function ReviewStage({ path, kind, bytes, aspect, label, playhead, unplayable }: Props) {
  const media = useMedia(path, bytes);
  const [broken, setBroken] = useState(false);
  const onBroken = (): void => {
    setBroken(true);
  };
  return (
    <div
      className="relative grid max-h-[70dvh] w-full place-items-center overflow-hidden rounded-lg bg-stage text-white"
      style={{ aspectRatio: aspect ?? 16 / 9 }}
      data-testid="stage"
    >
      {media.url !== null && !broken && kind === "video" && (
        <Player url={media.url} label={label} playhead={playhead} onBroken={onBroken} />
      )}
      {media.url !== null && !broken && kind === "image" && (
        <img src={media.url} alt={label} data-testid="picture" onError={onBroken} className="absolute inset-0 size-full object-contain" />
      )}
      {broken ? <Said testId="unplayable">{unplayable}</Said> : media.url === null && <Waiting media={media} bytes={bytes} />}
    </div>
  );
}

interface PlayerProps {
  readonly url: string;
  readonly label: string;
  readonly playhead: Playhead;
  readonly onBroken: () => void;
}

function Player({ url, label, playhead, onBroken }: PlayerProps) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => (video.current === null ? undefined : playhead.follow(video.current)), [playhead]);
  return (
    // eslint-disable-next-line jsx-a11y/media-has-caption -- nobody wrote captions for what people upload
    <video
      ref={video}
      src={url}
      data-testid="player"
      aria-label={label}
      controls
      playsInline
      preload="metadata"
      onError={onBroken}
      onLoadedMetadata={(event) => {
        if (event.currentTarget.videoWidth === 0) onBroken(); // only its sound can be played
      }}
      className="absolute inset-0 size-full object-contain"
    />
  );
}

function Waiting({ media: { failure, asks, read }, bytes }: { readonly media: Media; readonly bytes: number }) {
  if (failure !== null) return <Said>{asSentence(failure.detail)}</Said>;
  if (!asks) return <Said>Loading the file …</Said>;
  return (
    <Said>
      <span className="mb-3 block">With an access token, the whole file ({size(bytes)}) is downloaded before it plays.</span>
      <span className="text-ink">
        <Button onClick={read}>Download and play</Button>
      </span>
    </Said>
  );
}

function Said({ children, testId }: { readonly children: ReactNode; readonly testId?: string }) {
  return (
    <p role="status" data-testid={testId} className="max-w-prose p-6 text-center">
      {children}
    </p>
  );
}
