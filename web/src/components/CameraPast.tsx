import { useCallback, useEffect, useState } from "react";
import { useResource } from "../resource";
import { hrefOf } from "../route";
import { useServices } from "../services";
import { EVERY_EVENT, withEvent, type CameraEvent } from "../stream/events";
import type { Thresholds } from "../stream/messages";
import { EventRow } from "./EventRow";
import { Failed, Loading } from "./ListState";
import { ScoreTimeline, type ScorePast } from "./ScoreTimeline";

const SPANS = [
  { hours: 24, label: "24 hours" },
  { hours: 6, label: "6 hours" },
  { hours: 1, label: "1 hour" },
] as const;

/** The history has one row per minute, or per second in the last hour. */
const REFRESH_MS = 30_000;
/** Maximum number of marks that a chart of this size can show. */
const MOST_MARKS = 500;
/** Events listed below it; a link leads to the others. */
const LISTED = 5;

/** Reported events are kept for some reloads, in case one fails. */
const KEPT_MS = 10 * REFRESH_MS;

interface LoadedPast extends ScorePast {
  /** Time of the request: ms of performance.now(). */
  readonly askedMs: number;
}

interface ToldEvent {
  readonly event: CameraEvent;
  /** Time of the report: ms of performance.now(). */
  readonly atMs: number;
}

interface Props {
  readonly name: string;
  readonly thresholds: Thresholds | null;
}

/** A camera's last hours: scores, events as marks, states. */
export function CameraPast({ name, thresholds }: Props) {
  const { cameras, fleet } = useServices();
  const [hours, setHours] = useState<number>(SPANS[0].hours);
  const load = useCallback(async (): Promise<LoadedPast> => {
    const askedMs = performance.now();
    const toS = Math.ceil(Date.now() / 1000);
    const fromS = toS - hours * 3600;
    const [scores, states, page] = await Promise.all([
      cameras.scores(name, fromS, toS),
      cameras.states(name, fromS, toS),
      cameras.events({ ...EVERY_EVENT, camera: name, fromS }, null, MOST_MARKS),
    ]);
    return { scores, states, events: page.items, fromS, toS, askedMs };
  }, [cameras, name, hours]);
  const [past, reload] = useResource(load);
  const [told, setTold] = useState<readonly ToldEvent[]>([]);
  useEffect(() => {
    const timer = setInterval(reload, REFRESH_MS);
    return () => {
      clearInterval(timer);
    };
  }, [reload]);
  useEffect(
    () =>
      fleet.onEvent((event) => {
        const atMs = performance.now();
        setTold((before) => [...before.filter((one) => atMs - one.atMs < KEPT_MS), { event, atMs }].slice(-MOST_MARKS));
      }),
    [fleet, name],
  );

  if (past.state === "loading") {
    return (
      <div className="panel min-h-80 p-4">
        <Loading>Loading the last hours …</Loading>
      </div>
    );
  }
  if (past.state === "failed") {
    return <Failed what="The last hours could not be loaded." failure={past.failure} retrying={past.retrying} onRetry={reload} />;
  }
  const { askedMs, fromS } = past.value;
  const since = told.filter(({ atMs }) => atMs >= askedMs); // the list has what was reported before it was requested
  const wanted = { ...EVERY_EVENT, camera: name, fromS };
  const events = since.reduce<readonly CameraEvent[]>((list, { event }) => withEvent(list, event, wanted), past.value.events);
  return (
    <div className="space-y-4">
      <ScoreTimeline
        title={`Last ${SPANS.find((one) => one.hours === hours)?.label ?? ""}`}
        past={{ ...past.value, events }}
        thresholds={thresholds}
      >
        <label className="flex items-center gap-2 text-sm">
          <span className="text-muted">Show</span>
          <select
            data-testid="span"
            value={hours}
            onChange={(event) => {
              setHours(Number(event.target.value));
            }}
            className="h-11 cursor-pointer rounded-lg border border-edge bg-canvas px-3"
          >
            {SPANS.map((one) => (
              <option key={one.hours} value={one.hours}>
                {one.label}
              </option>
            ))}
          </select>
        </label>
      </ScoreTimeline>
      <section aria-labelledby="camera-events" className="panel p-4">
        <h2 id="camera-events" className="font-semibold">
          Events in this period
        </h2>
        {events.length === 0 ? (
          <p className="mt-2 text-sm text-muted">
            None: no face was judged fake, and the feed was never offline, frozen or looped for long.
          </p>
        ) : (
          <ul className="mt-2 space-y-2">
            {events.slice(0, LISTED).map((event) => (
              <EventRow key={event.id} event={event} nowS={past.value.toS} title={null} />
            ))}
          </ul>
        )}
        <p className="mt-3 text-sm">
          <a href={hrefOf({ page: "events", filter: { ...EVERY_EVENT, camera: name } })} className="underline">
            All events of this camera
          </a>
        </p>
      </section>
    </div>
  );
}
