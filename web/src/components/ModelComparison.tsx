import { interval, measured, NONE } from "../figures";
import type { Metric, ModelCard } from "../modelCards";

/** Name of the data set of all held-out faces in a card. */
const ALL = "held-out faces";

interface Props {
  readonly cards: readonly ModelCard[];
  readonly judging: string;
}

/** The bundles side by side: AUC for each family of fakes, errors, and terms of use. */
export function ModelComparison({ cards, judging }: Props) {
  const families = familiesOf(cards);
  const headings = ["Model", "All", ...families.map(shortName), "Real called fake", "Fakes found", "Terms of use"];
  return (
    <section aria-labelledby="comparison-title" className="panel p-4">
      <h2 id="comparison-title" className="font-semibold">
        Comparison
      </h2>
      <p id="comparison-text" className="mt-1 mb-3 max-w-prose text-sm text-muted">
        AUC (1 ranks every fake above every real face, 0.5 is chance) on held-out faces, in all and by family; then, at each model&apos;s
        own threshold, the share of real faces called fake and of fakes found. All are figures of single frames: the badge joins many of
        them. A model&apos;s name leads to its card, with its limitations and its terms in full.
      </p>
      {/* A region with a name and a place in the tab order, so that a narrow window can scroll it by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div role="region" aria-label="Comparison of the models" tabIndex={0} className="overflow-x-auto">
        <table data-testid="model-comparison" aria-describedby="comparison-text" className="w-full text-left text-sm">
          <thead className="text-muted">
            <tr>
              {headings.map((heading) => (
                <th key={heading} scope="col" className="py-1 pr-4 align-bottom font-normal last:pr-0">
                  {heading}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {cards.map((card) => (
              <tr key={card.name} className="border-t border-edge align-top">
                <th scope="row" className="min-w-40 py-2 pr-4 font-normal">
                  <a href={`#model-${card.name}`} onClick={openDetails(card.name)} className="font-semibold underline">
                    {card.name}
                  </a>
                  {card.name === judging && <span className="block text-muted">in use</span>}
                </th>
                {[ALL, ...families].map((data) => (
                  <Figure key={data} metric={metricOf(card, "auc", data, null)} />
                ))}
                <Figure metric={metricOf(card, "false_alarm_rate", ALL, card.thresholds?.fakeEnter ?? null)} />
                <Figure metric={metricOf(card, "recall", ALL, card.thresholds?.fakeEnter ?? null)} />
                <td className="min-w-48 py-2">
                  {/* The whole text is in the card: it is longer than a table can hold. */}
                  <span className="line-clamp-3">{card.training?.terms ?? NONE}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Figure({ metric }: { readonly metric: Metric | undefined }) {
  return (
    <td className="py-2 pr-4 whitespace-nowrap">
      <span className="font-semibold">{metric === undefined ? NONE : measured(metric.value)}</span>
      <span className="block text-xs text-muted">{metric === undefined ? "" : interval(metric.low, metric.high)}</span>
    </td>
  );
}

/** Subsets of the data on which an AUC was measured, in the order of the first card that names them. */
function familiesOf(cards: readonly ModelCard[]): readonly string[] {
  const named = cards.flatMap(({ metrics }) => metrics.filter(({ name, data }) => name === "auc" && data.startsWith(ALL) && data !== ALL));
  return [...new Set(named.map(({ data }) => data))].slice(0, 8);
}

/** "held-out faces of DFDC" is "DFDC". */
function shortName(data: string): string {
  return data.slice(ALL.length).replace(/^(,? family |,? of |, )/, "");
}

function metricOf(card: ModelCard, name: string, data: string, threshold: number | null): Metric | undefined {
  return card.metrics.find((metric) => metric.name === name && metric.data === data && metric.threshold === threshold);
}

/** The hash is used for the page's address, so the link has to open the details itself. */
function openDetails(name: string) {
  return (event: { preventDefault: () => void }): void => {
    event.preventDefault();
    const card = document.getElementById(`model-${name}`);
    card?.closest("details")?.setAttribute("open", "");
    card?.closest("summary")?.focus();
    card?.scrollIntoView({ block: "start" });
  };
}
