/** Events and the ways of telling of them (docs/protocol.md, "Cameras"). JSON enters, typed values leave; a filter becomes a query. */

import { readThresholds, type Thresholds } from "./messages";
import { flag, listOf, number, object, oneOf, orNull, share, ShapeError, text, type Read } from "./shape";

export const EVENT_KINDS = ["fake", "offline", "frozen", "looped"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface Evidence {
  /** paths of our server; null where there is none */
  readonly picture: string | null;
  readonly face: string | null;
  readonly clip: string | null;
  readonly bytes: number;
  /** why something is missing; empty when all is well */
  readonly problem: string;
}

export interface CameraEvent {
  readonly id: string;
  readonly camera: string;
  readonly kind: EventKind;
  readonly beganS: number;
  /** null while it goes on */
  readonly endedS: number | null;
  /** The server ended in its middle: the end is the last that was known. */
  readonly interrupted: boolean;
  readonly reason: string;
  /** Of the window's fake probability, in [0, 1]; null but for `fake`; so are the next three. */
  readonly peak: number | null;
  readonly mean: number | null;
  readonly track: number | null;
  readonly model: { readonly name: string; readonly sha256: string; readonly thresholds: Thresholds } | null;
  readonly gapsS: readonly number[];
  /** null when none was asked for */
  readonly evidence: Evidence | null;
}

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

export interface AlertWay {
  readonly name: string;
  readonly kind: "webhook" | "mqtt";
  readonly state: "ok" | "failing" | "connecting";
  readonly detail: string;
  readonly delivered: number;
  readonly failed: number;
  readonly waiting: number;
}

export interface TestedAlert {
  readonly ok: boolean;
  readonly detail: string;
}

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

const readModel: Read<NonNullable<CameraEvent["model"]>> = (value, where) => {
  const from = object(value, where);
  return {
    name: text(from.name, `${where}.name`),
    sha256: text(from.sha256, `${where}.sha256`),
    thresholds: readThresholds(from.thresholds, `${where}.thresholds`),
  };
};

/** Only a path of our own events is ever asked for. */
const evidencePath: Read<string> = (value, where) => {
  const path = text(value, where);
  if (!path.startsWith("/api/events/")) throw new ShapeError(`${where}: expected a path below /api/events/`);
  return path;
};

const readEvidence: Read<Evidence> = (value, where) => {
  const from = object(value, where);
  return {
    picture: orNull(evidencePath)(from.picture, `${where}.picture`),
    face: orNull(evidencePath)(from.face, `${where}.face`),
    clip: orNull(evidencePath)(from.clip, `${where}.clip`),
    bytes: number(from.bytes, `${where}.bytes`),
    problem: orNull(text)(from.problem, `${where}.problem`) ?? "",
  };
};

export const readEvent: Read<CameraEvent> = (value, where) => {
  const from = object(value, where);
  return {
    id: text(from.id, `${where}.id`),
    camera: text(from.camera, `${where}.camera`),
    kind: oneOf(EVENT_KINDS)(from.kind, `${where}.kind`),
    beganS: number(from.began_s, `${where}.began_s`),
    endedS: orNull(number)(from.ended_s, `${where}.ended_s`),
    interrupted: flag(from.interrupted, `${where}.interrupted`),
    reason: text(from.reason, `${where}.reason`),
    peak: orNull(share)(from.peak, `${where}.peak`),
    mean: orNull(share)(from.mean, `${where}.mean`),
    track: orNull(number)(from.track, `${where}.track`),
    model: orNull(readModel)(from.model, `${where}.model`),
    gapsS: listOf(number, 10_000)(from.gaps_s, `${where}.gaps_s`),
    evidence: orNull(readEvidence)(from.evidence, `${where}.evidence`),
  };
};

export const readEvents: Read<EventPage> = (value, where) => {
  const from = object(value, where);
  return { items: listOf(readEvent, 500)(from.items, `${where}.items`), next: orNull(text)(from.next, `${where}.next`) };
};

const readAlertWay: Read<AlertWay> = (value, where) => {
  const from = object(value, where);
  return {
    name: text(from.name, `${where}.name`),
    kind: oneOf(["webhook", "mqtt"])(from.kind, `${where}.kind`),
    state: oneOf(["ok", "failing", "connecting"])(from.state, `${where}.state`),
    detail: text(from.detail, `${where}.detail`),
    delivered: number(from.delivered, `${where}.delivered`),
    failed: number(from.failed, `${where}.failed`),
    waiting: number(from.waiting, `${where}.waiting`),
  };
};

export const readAlertWays: Read<readonly AlertWay[]> = (value, where) =>
  listOf(readAlertWay, 64)(object(value, where).items, `${where}.items`);

export const readTestedAlert: Read<TestedAlert> = (value, where) => {
  const from = object(value, where);
  return { ok: flag(from.ok, `${where}.ok`), detail: text(from.detail, `${where}.detail`) };
};
