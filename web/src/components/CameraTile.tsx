import { memo, useRef } from "react";
import type { ShownCamera } from "../cameraWords";
import { useFile, useVisible } from "../pictureHooks";
import { hrefOf } from "../route";
import { snapshotPath } from "../stream/cameraServer";
import { LiveCorner } from "./LiveCorner";
import { VerdictBadge } from "./VerdictBadge";

/** A wall is watched for hours: a picture every ten seconds shows whether the camera still points the right way. */
const REFRESH_MS = 10_000;
const WIDTH_PX = 480;

interface Props {
  readonly name: string;
  readonly title: string;
  readonly shown: ShownCamera;
  /** The camera has sent a frame, so that there is a snapshot. */
  readonly hasPicture: boolean;
  readonly live: boolean;
  /** This tile shows the live picture. */
  readonly playing: boolean;
  /** @param wanted false: the user looks elsewhere */
  readonly onLook: (name: string, wanted: boolean) => void;
}

/** A tile of the camera wall: last picture, verdict and state; live while hovered or focused. */
export const CameraTile = memo(function CameraTile({ name, title, shown, hasPicture, live, playing, onLook }: Props) {
  const box = useRef<HTMLLIElement>(null);
  const visible = useVisible(box);
  const picture = useFile(visible && hasPicture ? snapshotPath(name, WIDTH_PX) : null, live ? REFRESH_MS : null);
  return (
    <li ref={box} data-testid="tile" data-camera={name} data-state={shown.state} data-snapshot={picture.url !== null} className="min-w-0">
      <a
        href={hrefOf({ page: "camera", name })}
        onFocus={() => {
          onLook(name, true);
        }}
        onBlur={() => {
          onLook(name, false);
        }}
        onPointerEnter={(event) => {
          if (event.pointerType === "mouse") onLook(name, true);
        }}
        onPointerLeave={() => {
          onLook(name, false);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") onLook(name, false);
        }}
        className="panel block overflow-hidden hover:border-ink"
      >
        <span className="relative block aspect-video bg-stage">
          {picture.url === null ? (
            <span className="absolute inset-0 grid place-items-center text-sm text-white/80">{hasPicture ? "" : "No picture yet"}</span>
          ) : (
            <img
              src={picture.url}
              alt=""
              className={`absolute inset-0 size-full object-contain ${shown.fresh ? "" : "opacity-50 grayscale"}`}
            />
          )}
          {playing && <LiveCorner title={title} fresh={shown.fresh} />}
          {!shown.fresh && <span className="hatched absolute inset-0" />}
        </span>
        <span className="block space-y-1 p-3">
          <span className="flex items-center justify-between gap-2">
            <span className="truncate font-semibold">{title}</span>
            <VerdictBadge state={shown.state} word={shown.word} size="small" testId="tile-verdict" />
          </span>
          <span className="line-clamp-2 min-h-10 text-sm text-muted">{shown.reason}</span>
        </span>
      </a>
    </li>
  );
});
