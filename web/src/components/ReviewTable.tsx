import { probability } from "../figures";
import { reviewRows, type ReviewTimeline, type TimeRange } from "../stream/reviewTimeline";
import { mediaTime } from "../times";

interface Props {
  readonly timeline: ReviewTimeline;
  readonly whole: TimeRange;
}

/** The timeline as a table, for those who cannot see the chart. */
export function ReviewTable({ timeline, whole }: Props) {
  if (timeline.lines.length === 0) return <p className="mt-2 text-sm text-muted">No face was found in the sampled frames.</p>;
  const tenths = whole.toS < 60 ? 1 : 0;
  return (
    <details className="mt-3 text-sm">
      <summary>Values as a table</summary>
      <div className="overflow-x-auto">
        <table className="mt-2 w-full text-left">
          <caption className="sr-only">Highest score of each face in twelve parts of the video</caption>
          <thead className="text-muted">
            <tr>
              <th scope="col" className="py-1 pr-4 font-normal">
                When
              </th>
              {timeline.lines.map(({ track }) => (
                <th key={track} scope="col" className="py-1 pr-4 font-normal">
                  Face {track}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {reviewRows(timeline, whole).map((row) => (
              <tr key={row.fromS} className="border-t border-edge">
                <th scope="row" className="py-1 pr-4 font-normal whitespace-nowrap">
                  {mediaTime(row.fromS, tenths)} to {mediaTime(row.toS, tenths)}
                </th>
                {row.highest.map((value, index) => (
                  <td key={timeline.lines[index]?.track} className="py-1 pr-4">
                    {probability(value)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
