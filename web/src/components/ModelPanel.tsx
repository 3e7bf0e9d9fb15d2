import type { ReactNode } from "react";
import { exact } from "../figures";
import type { ModelCard } from "../modelCards";
import { MetricTable } from "./MetricTable";

/** Digits of a sha256 that are shown; the tooltip has all. */
const SHORT = 12;

/** One model's card: training data, measured performance and limits. */
export function ModelPanel({ card, judging }: { readonly card: ModelCard; readonly judging: boolean }) {
  const { training, thresholds } = card;
  return (
    <details data-testid="model" className="panel scroll-mt-4">
      <summary className="rounded-lg p-4 md:px-6">
        <h2 id={`model-${card.name}`} className="inline text-lg font-semibold">
          {card.title}
        </h2>
        {judging && <span className="ml-3 rounded bg-ink px-2 py-0.5 text-sm font-semibold text-surface">in use</span>}
        <p className="mt-1 text-sm text-muted">
          {[card.name, card.version && `version ${card.version}`, card.architecture].filter(Boolean).join(" · ")}
        </p>
      </summary>
      <div className="space-y-5 px-4 pb-4 md:px-6 md:pb-6">
        <Part title="Limitations">
          {card.limits.length === 0 ? (
            <p>Its card lists no limitations, which does not mean that it has none.</p>
          ) : (
            <ul className="list-disc space-y-1 pl-5">
              {card.limits.map((limit) => (
                <li key={limit}>{limit}</li>
              ))}
            </ul>
          )}
        </Part>
        <Part title="Measured performance">
          {card.metrics.length === 0 ? <p>Nothing was measured.</p> : <MetricTable metrics={card.metrics} of={card.title} />}
        </Part>
        {training !== null && (
          <Part title="Training data">
            <p>{training.data}</p>
            {training.neverShown.length > 0 && <p className="mt-1">Never shown in training: {training.neverShown.join(", ")}.</p>}
            <p className="mt-1">Terms: {training.terms}</p>
            {training.recipe !== null && <p className="mt-1 font-mono text-sm break-words text-muted">{training.recipe}</p>}
          </Part>
        )}
        <Part title="Thresholds">
          {thresholds !== null && (
            <p>
              Fake from {exact(thresholds.fakeEnter)} until it falls below {exact(thresholds.fakeLeave)}, real up to{" "}
              {exact(thresholds.realEnter)} until it rises above {exact(thresholds.realLeave)}, uncertain in between.
            </p>
          )}
          <p className="mt-1">{card.calibratedOn ? `Calibrated on ${card.calibratedOn}.` : "Its probabilities are not calibrated."}</p>
        </Part>
        {card.files.length > 0 && (
          <Part title="Files (sha256)">
            <ul className="space-y-1 font-mono text-sm text-muted">
              {card.files.map(({ file, sha256 }) => (
                <li key={file} title={sha256} className="break-words">
                  {file} {sha256.slice(0, SHORT)}
                </li>
              ))}
            </ul>
          </Part>
        )}
      </div>
    </details>
  );
}

function Part({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <section>
      <h3 className="mb-1 font-semibold">{title}</h3>
      {children}
    </section>
  );
}
