import { titleOf } from "../cameraWords";
import { hrefOf } from "../route";
import type { Camera } from "../stream/cameras";
import { EVENT_KINDS, type EventFilter, type EventKind } from "../stream/events";
import { fromLocalInput, localInput } from "../times";
import { Field, INPUT } from "./Field";

const KIND_WORDS: Readonly<Record<EventKind, string>> = {
  fake: "Fake faces",
  offline: "Cameras offline",
  frozen: "Frozen feeds",
  looped: "Looped feeds",
};

interface Props {
  readonly filter: EventFilter;
  readonly cameras: readonly Camera[];
}

/** The filter is in the page's URL, which can be saved and shared. */
export function EventFilters({ filter, cameras }: Props) {
  const change = (changed: Partial<EventFilter>): void => {
    window.location.hash = hrefOf({ page: "events", filter: { ...filter, ...changed } });
  };
  // A camera that was removed still has events.
  const unknown = filter.camera !== null && !cameras.some(({ name }) => name === filter.camera) ? filter.camera : null;
  return (
    <div role="group" aria-label="Filter" className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      <Field label="Camera">
        <select
          data-testid="filter-camera"
          value={filter.camera ?? ""}
          onChange={(event) => {
            change({ camera: event.target.value || null });
          }}
          className={INPUT}
        >
          <option value="">All cameras</option>
          {unknown !== null && <option value={unknown}>{unknown}</option>}
          {cameras.map((camera) => (
            <option key={camera.name} value={camera.name}>
              {titleOf(camera)}
            </option>
          ))}
        </select>
      </Field>
      <Field label="What">
        <select
          data-testid="filter-kind"
          value={filter.kind ?? ""}
          onChange={(event) => {
            change({ kind: EVENT_KINDS.find((kind) => kind === event.target.value) ?? null });
          }}
          className={INPUT}
        >
          <option value="">All events</option>
          {EVENT_KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {KIND_WORDS[kind]}
            </option>
          ))}
        </select>
      </Field>
      <Time
        key={`from ${filter.fromS}`}
        label="From"
        value={filter.fromS}
        onTime={(fromS) => {
          change({ fromS });
        }}
      />
      <Time
        key={`until ${filter.toS}`}
        label="Until"
        value={filter.toS}
        onTime={(toS) => {
          change({ toS });
        }}
      />
      <label className="col-span-2 flex min-h-11 cursor-pointer items-center gap-3">
        <input
          data-testid="filter-open"
          type="checkbox"
          checked={filter.open}
          onChange={(event) => {
            change({ open: event.target.checked });
          }}
          className="size-4 accent-ink"
        />
        Ongoing only
      </label>
    </div>
  );
}

interface TimeProps {
  readonly label: string;
  readonly value: number | null;
  readonly onTime: (atS: number | null) => void;
}

/** Applied when the field loses the focus: a date that is being typed is incomplete. */
function Time({ label, value, onTime }: TimeProps) {
  return (
    <div className="col-span-2 min-w-0 sm:col-span-1">
      <Field label={label}>
        <input
          type="datetime-local"
          defaultValue={localInput(value)}
          onBlur={(event) => {
            const atS = fromLocalInput(event.target.value);
            if (localInput(atS) !== localInput(value)) onTime(atS);
          }}
          className={INPUT}
        />
      </Field>
    </div>
  );
}
