import { factsOf } from "../analysisWords";
import { exact } from "../figures";
import type { Analysis } from "../stream/analyses";
import type { ModelReview, Results } from "../stream/analysisResults";
import { reportPath, type Report } from "../stream/analysisServer";
import { asSentence } from "../words";
import { SaveLink } from "./SaveLink";

const REPORTS: readonly (readonly [Report, string])[] = [
  ["html", "Report (HTML)"],
  ["json", "Results (JSON)"],
  ["csv", "Frames (CSV)"],
];

interface Props {
  readonly analysis: Analysis;
  readonly results: Results;
  readonly review: ModelReview;
}

/** What was analysed and how, with the reports for download. */
export function ReviewFacts({ analysis: { id, file }, results: { sampled, rateHz, notes, file: known }, review: { model } }: Props) {
  const { thresholds } = model;
  const facts: readonly (readonly [string, string])[] = [
    ["File", factsOf(known)],
    ["Analysed", known.kind === "image" ? "the picture" : `${sampled} frames, ${Number(rateHz.toFixed(2))} per second`],
    ["Fake from", `${exact(thresholds.fakeEnter)}, until below ${exact(thresholds.fakeLeave)}`],
    ["Real up to", `${exact(thresholds.realEnter)}, until above ${exact(thresholds.realLeave)}`],
    ["Model", `${model.name}, sha256 ${model.sha256}`],
    ["SHA-256 of the file", file.sha256],
  ];
  return (
    <section aria-labelledby="facts-title" data-testid="facts" className="panel space-y-4 p-4">
      <h2 id="facts-title" className="font-semibold">
        How it was analysed
      </h2>
      {notes.map((note) => (
        <p key={note} className="font-semibold">
          {asSentence(note)}
        </p>
      ))}
      <dl className="grid gap-x-4 gap-y-2 text-sm sm:grid-cols-[auto_1fr]">
        {facts.map(([term, value]) => (
          <div key={term} className="sm:contents">
            <dt className="text-muted">{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {model.terms !== "" && (
        <details className="text-sm">
          <summary>The model&apos;s terms of use</summary>
          <p className="mt-2">{model.terms}</p>
        </details>
      )}
      <div className="flex flex-wrap gap-2">
        {REPORTS.map(([report, words]) => (
          <SaveLink key={report} path={reportPath(id, report)} name={`report-${file.name}.${report}`} testId={`report-${report}`}>
            {words}
          </SaveLink>
        ))}
      </div>
    </section>
  );
}
