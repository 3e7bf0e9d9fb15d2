import { useEffect, useMemo, useRef, useState } from "react";
import { probability } from "../figures";
import { timeline as build, type Line, type Sample } from "../stream/history";
import type { Thresholds } from "../stream/messages";
import { TimelineChart } from "./timelineChart";
import { timelineTable } from "./timelineTable";

interface Props {
  readonly history: readonly Sample[];
  /** null until the server has sent them */
  readonly thresholds: Thresholds | null;
  /** Time at the right edge: seconds on the page's clock. */
  readonly nowS: number;
}

/** The last 60 seconds: a line per face, thresholds as bands, gaps for missing results. */
export function Timeline({ history, thresholds, nowS }: Props) {
  const timeline = useMemo(() => build(history), [history]);
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<TimelineChart | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const newest = timeline.lines.at(-1)?.connection;
  const nameOf = (line: Line) => `Face ${line.track}${line.connection === newest ? "" : " (before the reconnection)"}`;

  const hint = history.length === 0 ? "Scores appear here once a face is checked." : "line: average of the window, dots: single scores";

  useEffect(() => {
    if (box.current === null) return undefined;
    const drawn = new TimelineChart(box.current, thresholds, setHovered);
    chart.current = drawn;
    return () => {
      drawn.close();
      chart.current = null;
    };
  }, [thresholds]);

  useEffect(() => {
    chart.current?.show(timeline, nowS);
  }, [timeline, nowS, thresholds]);

  return (
    <section aria-labelledby="timeline-title" data-testid="timeline" className="panel p-4">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <h2 id="timeline-title" className="font-semibold">
          Last 60 seconds
        </h2>
        <p className="text-sm text-muted" aria-hidden="true">
          {hovered === null ? hint : readout(timeline, hovered, nowS, nameOf)}
        </p>
      </div>
      <div
        ref={box}
        role="img"
        aria-label="Fake probability of each face over the last 60 seconds; the table below has the values"
        className="mt-2 h-48"
      />
      <details className="mt-2 text-sm">
        <summary>Values as a table</summary>
        {timeline.lines.length === 0 ? (
          <p className="mt-2 text-muted">No face was scored in the last 60 seconds.</p>
        ) : (
          <table className="mt-2 w-full text-left">
            <caption className="sr-only">Mean fake probability by ten seconds and face</caption>
            <thead className="text-muted">
              <tr>
                <th scope="col" className="py-1 pr-4 font-normal">
                  When
                </th>
                {timeline.lines.map((line) => (
                  <th key={`${line.connection}/${line.track}`} scope="col" className="py-1 pr-4 font-normal">
                    {nameOf(line)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {timelineTable(timeline, nowS).map((row) => (
                <tr key={row.when} className="border-t border-edge">
                  <th scope="row" className="py-1 pr-4 font-normal">
                    {row.when}
                  </th>
                  {row.means.map((value, index) => (
                    <td key={index} className="py-1 pr-4">
                      {value === null ? "no value" : probability(value)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </details>
    </section>
  );
}

/** The values under the pointer: "4 s ago, Face 1: 0.08 (score 0.11)". */
function readout(timeline: ReturnType<typeof build>, index: number, nowS: number, nameOf: (line: Line) => string): string {
  const atS = timeline.atS[index];
  if (atS === undefined) return "";
  const values = timeline.lines.flatMap((line) => {
    const [window, score] = [line.window[index] ?? null, line.scores[index] ?? null];
    if (window === null && score === null) return [];
    return [`${nameOf(line)}: ${probability(window)}${score === null ? "" : ` (score ${probability(score)})`}`];
  });
  return [`${Math.round(nowS - atS)} s ago`, ...(values.length === 0 ? ["no value"] : values)].join(", ");
}
