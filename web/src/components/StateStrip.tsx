import { CAMERA_WORDS } from "../cameraWords";
import type { CameraState } from "../stream/cameras";
import type { StateSpan } from "../stream/scoreHistory";
import { moment, span } from "../times";
import { PLOT_LEFT_PX, PLOT_RIGHT_PX } from "./scoreChart";

/** Not the colours of verdicts: a camera's state is not a verdict. States differ by height and hatching. */
const LOOKS: Readonly<Record<CameraState, string>> = {
  live: "h-full bg-muted",
  connecting: "h-1/2 bg-muted",
  stalled: "h-full bg-unknown hatched",
  backing_off: "h-1/2 bg-unknown hatched",
  lost_node: "h-1/2 bg-unknown hatched",
  refused: "h-1/2 bg-unknown hatched",
  stopped: "h-0.5 bg-muted",
};

/** Maximum number of rows; a camera that reconnects all day has more, and the newest matter most. */
const MOST_ROWS = 50;

interface Props {
  readonly spans: readonly StateSpan[];
  readonly fromS: number;
  readonly toS: number;
}

/** The camera's states over the chart's time, to scale, and as a list. */
export function StateStrip({ spans, fromS, toS }: Props) {
  const share = (seconds: number) => `${(100 * seconds) / (toS - fromS)}%`;
  const newest = spans.slice(-MOST_ROWS).toReversed();
  return (
    <>
      <div
        aria-hidden="true"
        data-testid="states"
        className="relative mt-1 h-4 overflow-hidden"
        style={{ marginLeft: PLOT_LEFT_PX, marginRight: PLOT_RIGHT_PX }}
      >
        {spans.map((one) => (
          <span
            key={one.fromS}
            title={`${CAMERA_WORDS[one.state]}, ${moment(one.fromS)}`}
            data-state={one.state}
            className={`absolute bottom-0 ${LOOKS[one.state]}`}
            style={{ left: share(one.fromS - fromS), width: share(one.toS - one.fromS) }}
          />
        ))}
      </div>
      <details className="mt-2 text-sm">
        <summary>The camera&apos;s states</summary>
        {newest.length === 0 ? (
          <p className="mt-2 text-muted">No data for this period.</p>
        ) : (
          <ul className="mt-2 space-y-1">
            {newest.map((one) => (
              <li key={one.fromS} className="flex flex-wrap gap-x-3">
                <span className="text-muted">{moment(one.fromS)}</span>
                <span className="font-semibold">{CAMERA_WORDS[one.state]}</span>
                <span className="text-muted">{span(one.toS - one.fromS)}</span>
                <span className="basis-full sm:basis-auto">{one.reason}</span>
              </li>
            ))}
          </ul>
        )}
        {spans.length > MOST_ROWS && (
          <p className="mt-2 text-muted">
            The newest {MOST_ROWS} of {spans.length}.
          </p>
        )}
      </details>
    </>
  );
}
