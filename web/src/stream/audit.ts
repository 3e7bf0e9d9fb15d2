/** The audit log as the server shows it (docs/protocol.md, "Access"), and which part of it is asked for. */

import { body, type Wire } from "./wire";

export type AuditEntry = Wire<"AuditEntryBody">;
export type AuditPage = Wire<"AuditBody">;

export const OUTCOMES = ["ok", "refused", "failed"] as const satisfies readonly AuditEntry["result"][];

/** What is shown; empty or null does not restrict. */
export interface AuditFilter {
  readonly who: string;
  /** An action such as `camera.delete`; with a dot at its end all of that kind. */
  readonly action: string;
  readonly result: AuditEntry["result"] | null;
}

/** The filter as a query, in the server's words; the page's own address uses the same. */
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
