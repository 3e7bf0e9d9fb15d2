import { useEffect, useState } from "react";
import { ANALYSIS_WORDS } from "../analysisWords";
import { hrefOf } from "../route";
import { ANALYSIS_STATES, type AnalysisFilter } from "../stream/analyses";
import { Field, INPUT } from "./Field";

/** Delay after the last key: the search starts when the name is complete, not at every letter. */
const TYPING_MS = 300;

/** The filter is in the page's URL, which can be saved and shared. */
export function AnalysisFilters({ filter }: { readonly filter: AnalysisFilter }) {
  return (
    <div role="search" aria-label="Earlier analyses" className="grid grid-cols-1 gap-3 sm:grid-cols-[2fr_1fr]">
      <Search filter={filter} />
      <Field label="State">
        <select
          data-testid="filter-state"
          value={filter.state ?? ""}
          onChange={(event) => {
            show({ ...filter, state: ANALYSIS_STATES.find((state) => state === event.target.value) ?? null });
          }}
          className={INPUT}
        >
          <option value="">All states</option>
          {ANALYSIS_STATES.map((state) => (
            <option key={state} value={state}>
              {ANALYSIS_WORDS[state]}
            </option>
          ))}
        </select>
      </Field>
    </div>
  );
}

function Search({ filter }: { readonly filter: AnalysisFilter }) {
  const [typed, setTyped] = useState(filter.search);
  const [known, setKnown] = useState(filter.search);
  const [sent, setSent] = useState(filter.search);
  if (known !== filter.search) {
    setKnown(filter.search);
    // Unless the URL follows the field, it was changed elsewhere: back, forward, the navigation.
    if (sent !== filter.search) setTyped(filter.search);
    setSent(filter.search);
  }
  useEffect(() => {
    if (typed.trim() === filter.search) return undefined;
    const timer = setTimeout(() => {
      setSent(typed.trim());
      show({ ...filter, search: typed.trim() });
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [typed, filter]);
  return (
    <Field label="Search by file name">
      <input
        type="search"
        data-testid="search"
        value={typed}
        maxLength={200}
        onChange={(event) => {
          setTyped(event.target.value);
        }}
        className={INPUT}
      />
    </Field>
  );
}

/** Replaces the URL: going back leaves the page instead of undoing a letter. */
function show(filter: AnalysisFilter): void {
  window.location.replace(hrefOf({ page: "analyses", filter }));
}
