/** The pages, by the hash of the URL, so that the server need not know them. */

import { useMemo, useSyncExternalStore } from "react";
import { analysisQuery, readAnalysisFilter, EVERY_ANALYSIS, type AnalysisFilter } from "./stream/analyses";
import type { Role } from "./stream/access";
import { auditQuery, readAuditFilter, type AuditFilter } from "./stream/audit";
import { EVERY_EVENT, filterQuery, readFilter, type EventFilter } from "./stream/events";

export type Route =
  | { readonly page: "live" }
  | { readonly page: "checks" }
  | { readonly page: "cameras" }
  | { readonly page: "models" }
  | { readonly page: "camera"; readonly name: string }
  | { readonly page: "events"; readonly filter: EventFilter }
  | { readonly page: "event"; readonly id: string }
  | { readonly page: "analyses"; readonly filter: AnalysisFilter }
  | { readonly page: "analysis"; readonly id: string }
  | { readonly page: "account" }
  | { readonly page: "users" }
  | { readonly page: "cluster" }
  | { readonly page: "audit"; readonly filter: AuditFilter };

export interface Place {
  readonly pages: readonly Route["page"][];
  readonly href: string;
  readonly label: string;
  /** The minimum role for it. */
  readonly least: Role;
}

/**
 * The entries of the navigation. Earlier checks belong to the live check, a camera to the cameras, an event to the
 * events, an analysis to the analyses.
 */
export const PLACES: readonly Place[] = [
  { pages: ["live", "checks"], href: "#/", label: "Live check", least: "operator" },
  { pages: ["cameras", "camera"], href: "#/cameras", label: "Cameras", least: "viewer" },
  { pages: ["events", "event"], href: "#/events", label: "Events", least: "viewer" },
  { pages: ["analyses", "analysis"], href: "#/analyses", label: "Analyses", least: "viewer" },
  { pages: ["models"], href: "#/models", label: "Models", least: "viewer" },
];

/** The pages about the server and its users. */
export const SERVER_PLACES: readonly Place[] = [
  { pages: ["account"], href: "#/account", label: "Account", least: "viewer" },
  { pages: ["users"], href: "#/users", label: "Users", least: "admin" },
  { pages: ["audit"], href: "#/audit", label: "Audit log", least: "admin" },
  { pages: ["cluster"], href: "#/cluster", label: "Cluster", least: "viewer" },
];

export function hrefOf(route: Route): string {
  switch (route.page) {
    case "live":
      return "#/";
    case "checks":
      return "#/checks";
    case "cameras":
      return "#/cameras";
    case "models":
      return "#/models";
    case "account":
      return "#/account";
    case "users":
      return "#/users";
    case "cluster":
      return "#/cluster";
    case "audit":
      return withQuery("#/audit", auditQuery(route.filter));
    case "camera":
      return `#/cameras/${encodeURIComponent(route.name)}`;
    case "event":
      return `#/events/${encodeURIComponent(route.id)}`;
    case "events":
      return withQuery("#/events", filterQuery(route.filter));
    case "analysis":
      return `#/analyses/${encodeURIComponent(route.id)}`;
    case "analyses":
      return withQuery("#/analyses", analysisQuery(route.filter));
  }
}

function withQuery(place: string, query: URLSearchParams): string {
  return query.size === 0 ? place : `${place}?${query}`;
}

/** Unknown addresses lead to the live check. */
export function routeOf(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [place, one] = path.split("/", 2).map(decoded);
  if (place === "cameras") return one ? { page: "camera", name: one } : { page: "cameras" };
  if (place === "events") return one ? { page: "event", id: one } : { page: "events", filter: readFilter(new URLSearchParams(query)) };
  if (place === "analyses") {
    return one ? { page: "analysis", id: one } : { page: "analyses", filter: readAnalysisFilter(new URLSearchParams(query)) };
  }
  if (place === "audit") return { page: "audit", filter: readAuditFilter(new URLSearchParams(query)) };
  if (place === "checks" || place === "models" || place === "account" || place === "users" || place === "cluster") return { page: place };
  return { page: "live" };
}

/** Opens a page in place of another one, also in the history, unless the person has left that one meanwhile. */
export function openInstead(of: Route, route: Route): void {
  if (hrefOf(routeOf(window.location.hash)) === hrefOf(of)) window.location.replace(hrefOf(route));
}

export const ALL_EVENTS: Route = { page: "events", filter: EVERY_EVENT };
export const ALL_ANALYSES: Route = { page: "analyses", filter: EVERY_ANALYSIS };

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  return useMemo(() => routeOf(hash), [hash]);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // somebody typed a lone percent sign
  }
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => {
    window.removeEventListener("hashchange", listener);
  };
}
