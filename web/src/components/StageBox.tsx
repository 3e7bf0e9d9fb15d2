import { useEffect, useRef, type ReactNode } from "react";

interface Props {
  readonly picture: MediaStream | null;
  /** The picture is out of date. */
  readonly dimmed: boolean;
  readonly label: string;
  /** Shown behind the video, until it has a frame. */
  readonly poster?: ReactNode;
  /** Shown in front of the video. */
  readonly children?: ReactNode;
}

/** The box of a live picture. It has its final size before the first frame. */
export function StageBox({ picture, dimmed, label, poster, children }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (video.current !== null) video.current.srcObject = picture;
  }, [picture]);
  return (
    <div className="relative grid aspect-[4/3] w-full rounded-lg bg-stage text-sm text-white sm:aspect-video sm:text-base">
      {poster}
      <video
        ref={video}
        data-testid="video"
        aria-label={label}
        autoPlay
        muted
        playsInline
        className={`absolute inset-0 size-full rounded-lg object-contain ${picture === null ? "invisible" : ""} ${dimmed ? "opacity-30" : ""}`}
      />
      {children}
    </div>
  );
}

/** A message in place of the picture. */
export function Notice({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <div role="status" className="max-w-md">
      <p className="text-lg font-semibold">{title}</p>
      <p className="mt-1">{children}</p>
    </div>
  );
}
