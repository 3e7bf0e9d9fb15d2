import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { probability } from "../figures";
import type { Scores, StateEntry } from "../stream/cameras";
import type { CameraEvent } from "../stream/events";
import type { Thresholds } from "../stream/messages";
import { scoreLines, scoreRows, stateSpans, type ScoreLines } from "../stream/scoreHistory";
import { clock, span } from "../times";
import { WORDS } from "../words";
import { ScoreChart } from "./scoreChart";
import { StateStrip } from "./StateStrip";

export interface ScorePast {
  readonly scores: Scores;
  readonly states: readonly StateEntry[];
  readonly events: readonly CameraEvent[];
  readonly fromS: number;
  readonly toS: number;
}

interface Props {
  readonly title: string;
  readonly past: ScorePast;
  readonly thresholds: Thresholds | null;
  /** Shown beside the title. */
  readonly children?: ReactNode;
}

/** Scores over hours with the thresholds as bands and events as marks, and the camera's states below. */
export function ScoreTimeline({ title, past, thresholds, children }: Props) {
  const { scores, states, events, fromS, toS } = past;
  const lines = useMemo(() => scoreLines(scores), [scores]);
  const spans = useMemo(() => stateSpans(states, fromS, toS), [states, fromS, toS]);
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<ScoreChart | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);

  useEffect(() => {
    if (box.current === null) return undefined;
    const drawn = new ScoreChart(box.current, setHovered);
    chart.current = drawn;
    return () => {
      drawn.close();
      chart.current = null;
    };
  }, [thresholds]);
  useEffect(() => {
    chart.current?.show({ lines, fromS, toS, thresholds, events });
  }, [lines, fromS, toS, thresholds, events]);

  const hint = scores.items.length === 0 ? "No face was scored in this period." : "Line: mean of the window, shade: lowest to highest";
  return (
    <section aria-label={title} data-testid="scores" data-points={scores.items.length} className="panel p-4">
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <h2 className="font-semibold">{title}</h2>
        {children}
      </div>
      <p className="mt-1 min-h-5 text-sm text-muted" aria-hidden="true">
        {hovered === null ? hint : readout(lines, hovered)}
      </p>
      <div ref={box} role="img" aria-label={`${title}: fake probability; the table below has the values`} className="mt-2 h-48" />
      <StateStrip spans={spans} fromS={fromS} toS={toS} />
      <Table past={past} />
    </section>
  );
}

function Table({ past: { scores, fromS, toS } }: { readonly past: ScorePast }) {
  return (
    <details className="mt-3 text-sm">
      <summary>Values as a table</summary>
      <table className="mt-2 w-full text-left">
        <caption className="sr-only">Mean and highest fake probability, and the worst state, by {span((toS - fromS) / 12)}</caption>
        <thead className="text-muted">
          <tr>
            {["When", "Mean", "Highest", "Worst state"].map((heading) => (
              <th key={heading} scope="col" className="py-1 pr-4 font-normal">
                {heading}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {scoreRows(scores, fromS, toS).map((row) => (
            <tr key={row.toS} className="border-t border-edge">
              <th scope="row" className="py-1 pr-4 font-normal">
                {clock(row.fromS, toS - fromS < 3600)} to {clock(row.toS, toS - fromS < 3600)}
              </th>
              <td className="py-1 pr-4">{probability(row.mean)}</td>
              <td className="py-1 pr-4">{probability(row.high)}</td>
              <td className="py-1">{row.state === null ? "no data" : WORDS[row.state]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

/** The values under the pointer: "14:03:00: 0.08 (0.05 to 0.20)". */
function readout(lines: ScoreLines, index: number): string {
  const [atS, low, mean, high] = [lines.atS[index], lines.low[index], lines.mean[index], lines.high[index]];
  if (atS === undefined) return "";
  if (mean === null || mean === undefined) return `${clock(atS)}: no value`;
  return `${clock(atS)}: ${probability(mean)} (${probability(low)} to ${probability(high)})`;
}
