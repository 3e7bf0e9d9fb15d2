import { useState } from "react";
import { useFile } from "../pictureHooks";
import type { CameraEvent, EventKind } from "../stream/events";
import { asSentence } from "../words";

const NO_PICTURE: Readonly<Record<EventKind, string>> = {
  fake: "No picture was kept: evidence is turned off for this camera.",
  offline: "There is no picture: the camera was offline.",
  frozen: "No pictures of a frozen feed are kept.",
  looped: "No pictures of a looped feed are kept.",
};

/** The evidence of an event: clip, annotated picture and face. */
export function EventEvidence({ event }: { readonly event: CameraEvent }) {
  const { evidence } = event;
  const picture = useFile(evidence?.picture ?? null);
  const face = useFile(evidence?.face ?? null);
  if (evidence === null) {
    return (
      <p data-testid="no-evidence" className="panel p-4 text-sm text-muted">
        {NO_PICTURE[event.kind]}
      </p>
    );
  }
  return (
    <div className="space-y-4">
      {evidence.clip === null ? null : <Clip path={evidence.clip} id={event.id} />}
      <div className="flex flex-wrap items-start gap-4">
        {evidence.picture !== null && (
          <figure className="min-w-0 flex-1 basis-64">
            <div className="grid aspect-video place-items-center rounded-lg bg-stage">
              {picture.url !== null && (
                <img
                  src={picture.url}
                  data-testid="event-picture"
                  alt={`The start of the event, with the badge "${event.kind}" on the face`}
                  className="size-full rounded-lg object-contain"
                />
              )}
              {picture.failure !== null && <p className="p-4 text-sm text-white">{asSentence(picture.failure.detail)}</p>}
            </div>
            <figcaption className="mt-1 text-sm text-muted">As analysed</figcaption>
          </figure>
        )}
        {evidence.face !== null && (
          <figure className="w-40">
            <div className="grid aspect-square place-items-center rounded-lg bg-stage">
              {face.url !== null && (
                <img src={face.url} data-testid="event-face" alt="The judged face" className="size-full rounded-lg object-contain" />
              )}
              {face.failure !== null && <p className="p-2 text-sm text-white">{asSentence(face.failure.detail)}</p>}
            </div>
            <figcaption className="mt-1 text-sm text-muted">{event.track === null ? "The face" : `Face ${event.track}`}</figcaption>
          </figure>
        )}
      </div>
      {evidence.problem !== "" && <p className="font-semibold">Some evidence is missing. {asSentence(evidence.problem)}</p>}
    </div>
  );
}

/** The clip as sent by the camera. If the browser does not support its codec, it can still be saved and played elsewhere. */
function Clip({ path, id }: { readonly path: string; readonly id: string }) {
  const clip = useFile(path);
  const [unplayable, setUnplayable] = useState(false);
  return (
    <figure>
      <div className="relative grid aspect-video w-full place-items-center rounded-lg bg-stage text-white">
        {clip.url !== null && !unplayable && (
          <video
            src={clip.url}
            data-testid="clip"
            aria-label="The seconds before and after the start of the event"
            controls
            muted
            playsInline
            onError={() => {
              setUnplayable(true);
            }}
            className="absolute inset-0 size-full rounded-lg object-contain"
          />
        )}
        {clip.url === null && <p className="p-6">{clip.failure === null ? "Loading the clip …" : asSentence(clip.failure.detail)}</p>}
        {unplayable && (
          <p className="p-6 text-center">This browser cannot play this camera&apos;s codec. Save the clip to view it elsewhere.</p>
        )}
      </div>
      <figcaption className="mt-1 flex flex-wrap justify-between gap-x-4 text-sm text-muted">
        Before and after the start of the event, as sent by the camera, without badges
        {clip.url !== null && (
          <a href={clip.url} download={`event-${id}`} className="underline">
            Save the clip
          </a>
        )}
      </figcaption>
    </figure>
  );
}
