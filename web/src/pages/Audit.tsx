import type { SubmitEvent } from "react";
import { entry } from "../action";
import { Button } from "../components/Button";
import { Field, INPUT } from "../components/Field";
import { Failed, Loading } from "../components/ListState";
import { ServerPlaces } from "../components/ServerPlaces";
import { usePagedList } from "../pagedList";
import { hrefOf } from "../route";
import { useServices } from "../services";
import { auditQuery, OUTCOMES, type AuditEntry, type AuditFilter } from "../stream/audit";
import { moment } from "../times";

const RESULTS: Readonly<Record<AuditEntry["result"], string>> = { ok: "Done", refused: "Refused", failed: "Failed" };

/** The audit log, for admins. The filter is in the page's URL. */
export function Audit({ filter }: { readonly filter: AuditFilter }) {
  return (
    <div className="mx-auto max-w-4xl space-y-4">
      <ServerPlaces page="audit" />
      <h1 className="text-xl font-semibold">Audit log</h1>
      <Filters key={`filters ${auditQuery(filter)}`} filter={filter} />
      <Entries key={`entries ${auditQuery(filter)}`} filter={filter} />
    </div>
  );
}

function Filters({ filter }: { readonly filter: AuditFilter }) {
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const result = OUTCOMES.find((one) => one === entry(form, "result")) ?? null;
    const wanted = { who: entry(form, "who").trim(), action: entry(form, "action").trim(), result };
    window.location.hash = hrefOf({ page: "audit", filter: wanted });
  };
  return (
    <form onSubmit={submit} aria-label="Filter" className="grid items-start gap-3 sm:grid-cols-[1fr_1fr_1fr_auto]">
      <Field label="Who">
        <input name="who" defaultValue={filter.who} maxLength={64} autoComplete="off" className={INPUT} />
      </Field>
      <Field label="What" hint="camera.delete, or camera. for all actions on cameras">
        <input name="action" defaultValue={filter.action} maxLength={32} pattern="[a-z_.]*" autoComplete="off" className={INPUT} />
      </Field>
      <Field label="Result">
        <select name="result" defaultValue={filter.result ?? ""} className={INPUT}>
          <option value="">All results</option>
          {OUTCOMES.map((result) => (
            <option key={result} value={result}>
              {RESULTS[result]}
            </option>
          ))}
        </select>
      </Field>
      <span className="sm:mt-7">
        <Button submit testId="filter-audit">
          Show
        </Button>
      </span>
    </form>
  );
}

function Entries({ filter }: { readonly filter: AuditFilter }) {
  const { access } = useServices();
  const { list, readOn } = usePagedList((before) => access.audit(filter, before));
  const { items, next, failure, reading } = list;
  return (
    <>
      {items === null && failure === null && <Loading>Loading the log …</Loading>}
      {items?.length === 0 && <p className="panel p-4">No entry matches.</p>}
      {items !== null && items.length > 0 && (
        <ul aria-label="Entries" className="space-y-2">
          {items.map((one) => (
            <li key={one.id} data-testid="audit-entry" data-result={one.result} className="panel p-3 text-sm">
              <p className="flex flex-wrap gap-x-3">
                <span className="font-semibold">{one.action}</span>
                {one.target !== "" && <span>{one.target}</span>}
                <span className="ml-auto">{RESULTS[one.result]}</span>
              </p>
              <p className="text-muted">
                {[moment(one.at), one.who === "" ? "unknown" : one.who, one.by, one.address, one.detail].filter(Boolean).join(" · ")}
              </p>
            </li>
          ))}
        </ul>
      )}
      {failure !== null && <Failed what="The log could not be loaded." failure={failure} retrying={reading} onRetry={readOn} />}
      {failure === null && next !== null && (
        <Button testId="older" disabled={reading} onClick={readOn}>
          {reading ? "Loading …" : "Older entries"}
        </Button>
      )}
    </>
  );
}
