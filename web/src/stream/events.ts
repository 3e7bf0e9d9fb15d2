/** Events, and the notifiers that tell of them (docs/protocol.md, "Cameras"): JSON enters, typed values leave; a filter becomes a query. */

import { listOf, object, orNull, ShapeError, text, type Read } from "./shape";
import { body, type Wire } from "./wire";

/** Paths of evidence are those of our server; null where there is none. */
export type Evidence = Wire<"EvidenceBody">;
export type CameraEvent = Wire<"EventBody">;
export type EventKind = CameraEvent["kind"];
export type Notifier = Wire<"NotifierBody">;
export type TestedAlert = Wire<"AlertTestBody">;

export const EVENT_KINDS = ["fake", "offline", "frozen", "looped"] as const satisfies readonly EventKind[];

export interface EventPage {
  readonly items: readonly CameraEvent[];
  /** Cursor of the older ones; null at the end. */
  readonly next: string | null;
}

/** What a list shows; null does not restrict. */
export interface EventFilter {
  readonly camera: string | null;
  readonly kind: EventKind | null;
  readonly fromS: number | null;
  readonly toS: number | null;
  /** Only those that go on. */
  readonly open: boolean;
}

export const EVERY_EVENT: EventFilter = { camera: null, kind: null, fromS: null, toS: null, open: false };

/** The filter as a query, in the server's words; the page's own address uses the same. */
export function filterQuery(filter: EventFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (filter.camera !== null) query.set("camera", filter.camera);
  if (filter.kind !== null) query.set("kind", filter.kind);
  if (filter.fromS !== null) query.set("from", String(filter.fromS));
  if (filter.toS !== null) query.set("to", String(filter.toS));
  if (filter.open) query.set("open", "true");
  return query;
}

/** The other way round; what makes no sense restricts nothing. */
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

/** A list, newest first, after an event began, ended or was deleted elsewhere: it takes its place, or leaves it. */
export function withEvent(items: readonly CameraEvent[], event: CameraEvent, filter: EventFilter): readonly CameraEvent[] {
  const others = items.filter(({ id }) => id !== event.id);
  if (!matches(event, filter)) return others;
  const after = others.findIndex(({ beganS, id }) => beganS < event.beganS || (beganS === event.beganS && id < event.id));
  if (after < 0) return items.length > others.length || items.length === 0 ? [...others, event] : items; // older than this page
  return [...others.slice(0, after), event, ...others.slice(after)];
}

/** Only a path of our own events is ever asked for. */
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
