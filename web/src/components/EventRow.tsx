import { useRef } from "react";
import { eventState, lasted } from "../cameraWords";
import { probability } from "../figures";
import { useFile, useVisible } from "../pictureHooks";
import { hrefOf } from "../route";
import type { CameraEvent } from "../stream/events";
import { moment } from "../times";
import { StateIcon } from "./StateIcon";
import { VerdictBadge } from "./VerdictBadge";

/** Kinds whose reason says more than the badge, such as how long a feed was frozen. */
const REPEATS: ReadonlySet<CameraEvent["kind"]> = new Set(["frozen", "looped"]);

interface Props {
  readonly event: CameraEvent;
  /** Title of its camera; null on the camera's own page. */
  readonly title: string | null;
  readonly nowS: number;
}

/** One event of a list: kind, camera, time and duration. */
export function EventRow({ event, title, nowS }: Props) {
  const row = useRef<HTMLLIElement>(null);
  const visible = useVisible(row);
  const face = event.evidence?.face ?? event.evidence?.picture ?? null;
  const picture = useFile(visible ? face : null);
  return (
    <li ref={row} data-testid="event" data-kind={event.kind}>
      <a href={hrefOf({ page: "event", id: event.id })} className="panel flex items-center gap-4 p-3 hover:border-ink">
        <span className="grid size-14 shrink-0 place-items-center overflow-hidden rounded bg-stage">
          {picture.url === null ? (
            <StateIcon state={eventState(event)} className="size-6 text-white/70" />
          ) : (
            <img src={picture.url} alt="" className="size-full object-cover" />
          )}
        </span>
        <span className="min-w-0 flex-1">
          <span className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <VerdictBadge state={eventState(event)} size="small" />
            {title !== null && <span className="font-semibold">{title}</span>}
            <span>{moment(event.beganS)}</span>
          </span>
          <span className="mt-1 block text-sm text-muted">
            {lasted(event, nowS)}
            {REPEATS.has(event.kind) && event.reason !== "" && ` · ${event.reason}`}
            {event.peak !== null && ` · highest fake probability ${probability(event.peak)}`}
          </span>
        </span>
      </a>
    </li>
  );
}
