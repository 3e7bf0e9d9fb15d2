import { useCallback, useEffect, useState, useSyncExternalStore } from "react";
import { eventState, lasted, titleOf } from "../cameraWords";
import { Button } from "../components/Button";
import { ConfirmDialog } from "../components/ConfirmDialog";
import { EventEvidence } from "../components/EventEvidence";
import { EventJudgement } from "../components/EventJudgement";
import { EventScores } from "../components/EventScores";
import { Limits } from "../components/Limits";
import { Failed, Loading } from "../components/ListState";
import { VerdictBadge } from "../components/VerdictBadge";
import { useNowS } from "../now";
import { useResource } from "../resource";
import { useMay } from "../roles";
import { ALL_EVENTS, hrefOf, openInstead } from "../route";
import { useServices } from "../services";
import type { CameraEvent } from "../stream/events";
import { moment } from "../times";
import { useTitle } from "../title";
import { asSentence, WORDS } from "../words";

const GROWS_MS = 5_000;
/** Maximum time until a clip is complete; one that is missing by then will not come. */
const CLIP_COMES_S = 120;

interface Props {
  readonly id: string;
  readonly limits: readonly string[];
}

/** One event: what happened, its evidence, and how it was judged. */
export function EventPage({ id, limits }: Props) {
  const { cameras, fleet } = useServices();
  const [event, reload] = useResource(useCallback(() => cameras.event(id), [cameras, id]));
  useEffect(
    () =>
      fleet.onEvent((told) => {
        if (told.id === id) reload();
      }),
    [fleet, id, reload],
  );
  const nowS = useNowS();
  const growing = event.state === "ready" && grows(event.value, nowS);
  useEffect(() => {
    if (!growing) return undefined;
    const timer = setInterval(reload, GROWS_MS);
    return () => {
      clearInterval(timer);
    };
  }, [growing, reload]);
  return (
    <div className="space-y-4">
      <nav aria-label="Breadcrumbs" className="text-sm">
        <a href={hrefOf(ALL_EVENTS)} className="underline">
          All events
        </a>
      </nav>
      {event.state === "loading" && <Loading>Loading the event …</Loading>}
      {event.state === "failed" && (
        <>
          <h1 className="text-xl font-semibold">Event</h1>
          <Failed what="The event could not be loaded." failure={event.failure} retrying={event.retrying} onRetry={reload} />
        </>
      )}
      {event.state === "ready" && <Seen event={event.value} limits={limits} />}
    </div>
  );
}

/** The clip is complete only some time after the start, and the highest score may still rise. */
function grows({ endedS, beganS, evidence }: CameraEvent, nowS: number): boolean {
  const clipComes = evidence !== null && evidence.clip === null && evidence.problem === "";
  return endedS === null || (clipComes && nowS - beganS < CLIP_COMES_S);
}

function Seen({ event, limits }: { readonly event: CameraEvent; readonly limits: readonly string[] }) {
  const { cameras, fleet } = useServices();
  const known = useSyncExternalStore(fleet.subscribe, fleet.snapshot).cameras?.find(({ camera }) => camera.name === event.camera);
  const nowS = useNowS();
  const isAdmin = useMay("admin");
  const [asked, setAsked] = useState(false);
  const title = known === undefined ? event.camera : titleOf(known.camera);
  const kind = WORDS[eventState(event)];
  useTitle(`${kind}, ${title}`);
  const remove = async (): Promise<void> => {
    await cameras.deleteEvent(event.id);
    openInstead({ page: "event", id: event.id }, ALL_EVENTS);
  };
  return (
    <>
      <header className="space-y-2">
        <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <h1 className="text-xl font-semibold">{title}</h1>
          <VerdictBadge state={eventState(event)} size="small" testId="event-kind" />
        </div>
        <p>
          {moment(event.beganS)}
          {event.endedS !== null && ` to ${moment(event.endedS)}`}. {lasted(event, nowS)}. {asSentence(event.reason)}
        </p>
        <p className="text-sm">
          {known === undefined ? (
            <span className="text-muted">This camera is no longer watched.</span>
          ) : (
            <a href={hrefOf({ page: "camera", name: event.camera })} className="underline">
              Show this camera
            </a>
          )}
        </p>
      </header>
      <div className="live-check">
        <div className="min-w-0 [grid-area:video]">
          <EventEvidence event={event} />
        </div>
        <div className="min-w-0 space-y-4 [grid-area:verdict]">
          {event.model !== null && <EventJudgement event={event} model={event.model} />}
          {event.kind === "fake" && (
            <div className="panel p-4">
              <Limits limits={limits} />
            </div>
          )}
          {!isAdmin ? null : event.endedS === null ? (
            <p className="text-sm text-muted">An ongoing event can be deleted once it has ended.</p>
          ) : (
            <Button
              testId="delete-event"
              onClick={() => {
                setAsked(true);
              }}
            >
              Delete
            </Button>
          )}
        </div>
        <div className="min-w-0 [grid-area:timeline]">
          <EventScores event={event} />
        </div>
      </div>
      {asked && (
        <ConfirmDialog
          title="Delete this event?"
          action="Delete"
          onConfirm={remove}
          onClose={() => {
            setAsked(false);
          }}
        >
          The event and all its evidence will be deleted on the server. The camera&apos;s score history is kept.
        </ConfirmDialog>
      )}
    </>
  );
}
