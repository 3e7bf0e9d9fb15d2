import { exact, interval, measured, NONE } from "../figures";
import type { Metric } from "../modelCards";

/** Readable names of the figures of our own evaluation; others are shown by their name. */
const NAMES: Readonly<Record<string, string>> = {
  auc: "AUC: fakes ranked above real faces",
  accuracy: "Accuracy",
  precision: "Fakes among those called fake",
  recall: "Fakes found",
  false_alarm_rate: "Real faces called fake",
  taken_for_real: "Fake faces called real",
  bf16_difference: "Largest change of a face's probability by bf16",
};

interface Props {
  readonly metrics: readonly Metric[];
  /** Name of the model. */
  readonly of: string;
}

/** Measured figures, grouped by the data that they were measured on. */
export function MetricTable({ metrics, of }: Props) {
  const groups = [...new Set(metrics.map((metric) => metric.data))];
  return (
    // A named region in the tab order, so that it can be scrolled by keyboard in a narrow window.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div role="region" aria-label={`Measured figures of ${of}`} tabIndex={0} className="overflow-x-auto">
      <table className="w-full text-left text-sm">
        <thead className="text-muted">
          <tr>
            {["Figure", "Value", "95 % interval", "Number"].map((heading) => (
              <th key={heading} scope="col" className="py-1 pr-4 font-normal last:pr-0">
                {heading}
              </th>
            ))}
          </tr>
        </thead>
        {groups.map((data) => (
          <tbody key={data} className="border-t border-edge">
            <tr>
              <th scope="rowgroup" colSpan={4} className="pt-2 pb-1 font-normal text-muted">
                {data}
              </th>
            </tr>
            {metrics
              .filter((metric) => metric.data === data)
              .map((metric) => (
                <tr key={`${metric.name} ${metric.threshold ?? ""}`} className="align-top">
                  <th scope="row" className="py-1 pr-4 font-normal">
                    {nameOf(metric)}
                  </th>
                  <td className="py-1 pr-4 font-semibold">{measured(metric.value)}</td>
                  <td className="py-1 pr-4">{interval(metric.low, metric.high) || NONE}</td>
                  <td className="py-1">{metric.n ?? NONE}</td>
                </tr>
              ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}

/** "Fakes found, at 0.80" */
function nameOf({ name, threshold }: Metric): string {
  const words = NAMES[name] ?? name.replaceAll("_", " ");
  return threshold === null ? words : `${words}, at ${exact(threshold)}`;
}
