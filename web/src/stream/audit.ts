/** The audit log (docs/protocol.md, "Access"), and the filter of its page. */

import { body, type Wire } from "./wire";

export type AuditEntry = Wire<"AuditEntryBody">;
export type AuditPage = Wire<"AuditBody">;

export const OUTCOMES = ["ok", "refused", "failed"] as const satisfies readonly AuditEntry["result"][];

/** Filter of the list; empty or null does not restrict it. */
export interface AuditFilter {
  readonly who: string;
  /** An action such as `camera.delete`; with a trailing dot, all actions that begin so. */
  readonly action: string;
  readonly result: AuditEntry["result"] | null;
}

/** The filter as a query string, for the server and for the page's own URL. */
export function auditQuery({ who, action, result }: AuditFilter): URLSearchParams {
  const query = new URLSearchParams();
  if (who !== "") query.set("who", who);
  if (action !== "") query.set("action", action);
  if (result !== null) query.set("result", result);
  return query;
}

export function readAuditFilter(query: URLSearchParams): AuditFilter {
  const result = OUTCOMES.find((one) => one === query.get("result")) ?? null;
  return { who: query.get("who") ?? "", action: query.get("action") ?? "", result };
}

export const readAudit = body("AuditBody");
