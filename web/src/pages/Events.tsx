import { useEffect, useSyncExternalStore } from "react";
import { titleOf } from "../cameraWords";
import { Notifiers } from "../components/Notifiers";
import { Button } from "../components/Button";
import { EventFilters } from "../components/EventFilters";
import { EventRow } from "../components/EventRow";
import { Empty, Failed, Loading } from "../components/ListState";
import { useNowS } from "../now";
import { usePagedList } from "../pagedList";
import { useServices } from "../services";
import { EVERY_EVENT, filterQuery, withEvent, type EventFilter } from "../stream/events";

/** Events, newest first. */
export function Events({ filter }: { readonly filter: EventFilter }) {
  const { fleet } = useServices();
  const { cameras } = useSyncExternalStore(fleet.subscribe, fleet.snapshot);
  const key = filterQuery(filter).toString();
  return (
    <div className="mx-auto max-w-4xl space-y-4">
      <h1 className="text-xl font-semibold">Events</h1>
      <Notifiers />
      <EventFilters filter={filter} cameras={(cameras ?? []).map(({ camera }) => camera)} />
      <EventList
        key={`list ${key}`}
        filter={filter}
        titles={new Map((cameras ?? []).map(({ camera }) => [camera.name, titleOf(camera)]))}
      />
    </div>
  );
}

interface ListProps {
  readonly filter: EventFilter;
  readonly titles: ReadonlyMap<string, string>;
}

function EventList({ filter, titles }: ListProps) {
  const { list, readOn } = useEvents(filter);
  const { items, next, failure, reading } = list;
  const nowS = useNowS();
  return (
    <>
      {items === null && failure === null && <Loading>Loading the events …</Loading>}
      {items?.length === 0 && <None filter={filter} />}
      {items !== null && items.length > 0 && (
        <ul aria-label="Events" className="space-y-2">
          {items.map((event) => (
            <EventRow key={event.id} event={event} nowS={nowS} title={titles.get(event.camera) ?? event.camera} />
          ))}
        </ul>
      )}
      {failure !== null && <Failed what="The events could not be loaded." failure={failure} retrying={reading} onRetry={readOn} />}
      {failure === null && next !== null && (
        <Button testId="older" disabled={reading} onClick={readOn}>
          {reading ? "Loading …" : "Older events"}
        </Button>
      )}
    </>
  );
}

function None({ filter }: { readonly filter: EventFilter }) {
  const every = filterQuery(filter).toString() === filterQuery(EVERY_EVENT).toString();
  return (
    <Empty>
      <p className="font-semibold">{every ? "There are no events yet." : "No event matches."}</p>
      <p>
        {every
          ? "An event is added here when a face is judged fake, when a camera sends no video for a while, and when its video stands still or repeats itself."
          : "Choose other cameras, kinds or times above."}
      </p>
    </Empty>
  );
}

/** The pages read so far, updated with events that begin or end. */
function useEvents(filter: EventFilter) {
  const { cameras, fleet } = useServices();
  const { list, readOn, change } = usePagedList((cursor) => cameras.events(filter, cursor));
  useEffect(
    () =>
      fleet.onEvent((event) => {
        change((items) => withEvent(items, event, filter));
      }),
    [fleet, filter, change],
  );
  return { list, readOn };
}
