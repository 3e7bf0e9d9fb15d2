/** Events and notifiers (docs/protocol.md, "Cameras"): parses the server's JSON, and converts filters to query strings. */

import { listOf, object, orNull, ShapeError, text, type Read } from "./shape";
import { body, type Wire } from "./wire";

/** Paths of evidence on this server; null if there is none. */
export type Evidence = Wire<"EvidenceBody">;
export type CameraEvent = Wire<"EventBody">;
export type EventKind = CameraEvent["kind"];
export type Notifier = Wire<"NotifierBody">;
export type TestedAlert = Wire<"AlertTestBody">;

export const EVENT_KINDS = ["fake", "offline", "frozen", "looped"] as const satisfies readonly EventKind[];

export interface EventPage {
  readonly items: readonly CameraEvent[];
  /** Cursor of the next older page; null at the end. */
  readonly next: string | null;
}

/** Filter of a list; null does not restrict it. */
export interface EventFilter {
  readonly camera: string | null;
  readonly kind: EventKind | null;
  readonly fromS: number | null;
  readonly toS: number | null;
  /** Ongoing events only. */
  readonly open: boolean;
}

export const EVERY_EVENT: EventFilter = { camera: null, kind: null, fromS: null, toS: null, open: false };

/** The filter as a query string, for the server and for the page's own URL. */
export function filterQuery(filter: EventFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (filter.camera !== null) query.set("camera", filter.camera);
  if (filter.kind !== null) query.set("kind", filter.kind);
  if (filter.fromS !== null) query.set("from", String(filter.fromS));
  if (filter.toS !== null) query.set("to", String(filter.toS));
  if (filter.open) query.set("open", "true");
  return query;
}

/** Parses a query string; invalid values are ignored. */
export function readFilter(query: URLSearchParams): EventFilter {
  const seconds = (name: string): number | null => {
    const given = Number(query.get(name) ?? Number.NaN);
    return Number.isFinite(given) ? given : null;
  };
  return {
    camera: query.get("camera"),
    kind: EVENT_KINDS.find((kind) => kind === query.get("kind")) ?? null,
    fromS: seconds("from"),
    toS: seconds("to"),
    open: query.get("open") === "true",
  };
}

export function matches(event: CameraEvent, filter: EventFilter): boolean {
  return (
    (filter.camera === null || event.camera === filter.camera) &&
    (filter.kind === null || event.kind === filter.kind) &&
    (filter.fromS === null || event.beganS >= filter.fromS) &&
    (filter.toS === null || event.beganS < filter.toS) &&
    (!filter.open || event.endedS === null)
  );
}

/** A list, newest first, updated with an event that began, ended or was deleted elsewhere. */
export function withEvent(items: readonly CameraEvent[], event: CameraEvent, filter: EventFilter): readonly CameraEvent[] {
  const others = items.filter(({ id }) => id !== event.id);
  if (!matches(event, filter)) return others;
  const after = others.findIndex(({ beganS, id }) => beganS < event.beganS || (beganS === event.beganS && id < event.id));
  if (after < 0) return items.length > others.length || items.length === 0 ? [...others, event] : items; // older than this page
  return [...others.slice(0, after), event, ...others.slice(after)];
}

/** Only paths of events on this server are ever requested. */
function checkPaths({ picture, face, clip }: Evidence, where: string): void {
  const paths = Object.entries({ picture, face, clip });
  const [name] = paths.find(([, path]) => path?.startsWith("/api/events/") === false) ?? [];
  if (name !== undefined) throw new ShapeError(`${where}.${name}: expected a path below /api/events/`);
}

export const readEvent: Read<CameraEvent> = (value, where) => {
  const event = body("EventBody")(value, where);
  if (event.evidence !== null) checkPaths(event.evidence, `${where}.evidence`);
  return event;
};

export const readEvents: Read<EventPage> = (value, where) => {
  const from = object(value, where);
  return { items: listOf(readEvent, 500)(from.items, `${where}.items`), next: orNull(text)(from.next, `${where}.next`) };
};

export const readNotifiers: Read<readonly Notifier[]> = (value, where) => body("NotifiersBody")(value, where).items;

export const readTestedAlert = body("AlertTestBody");
