import { exact, probability } from "../figures";
import type { Thresholds } from "../stream/messages";

interface Props {
  /** Fake probability of the window, in [0, 1]; null without enough evidence. */
  readonly value: number | null;
  /** null until the server has sent them */
  readonly thresholds: Thresholds | null;
  readonly label?: string;
}

/** The window's fake probability, drawn on a band with the two thresholds instead of as a bare number. */
export function ProbabilityBand({ value, thresholds, label = "Fake probability" }: Props) {
  const bounds =
    thresholds === null ? "" : `; real at or below ${exact(thresholds.realEnter)}, fake at or above ${exact(thresholds.fakeEnter)}`;
  const marks = thresholds === null ? [] : [thresholds.realEnter, thresholds.fakeEnter];
  const place = (share: number) => `${share * 100}%`;
  return (
    <div>
      <div className="flex justify-between gap-2 text-sm">
        <span className="text-muted">{label}</span>
        <span className="shrink-0 font-semibold whitespace-nowrap">{value === null ? "none yet" : probability(value)}</span>
      </div>
      <div
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={1}
        aria-valuenow={value ?? 0}
        aria-valuetext={`${value === null ? "no value yet" : probability(value)}${bounds}`}
        className="relative mt-2 h-6"
      >
        {thresholds !== null && (
          <div className={`absolute inset-x-0 inset-y-2 flex overflow-hidden rounded ${value === null ? "opacity-40" : ""}`}>
            <div className="bg-real" style={{ width: place(thresholds.realEnter) }} />
            <div className="flex-1 bg-uncertain" />
            <div className="bg-fake" style={{ width: place(1 - thresholds.fakeEnter) }} />
          </div>
        )}
        {marks.map((threshold) => (
          <div key={threshold} className="absolute inset-y-1 w-px bg-ink" style={{ left: place(threshold) }} />
        ))}
        {value !== null && (
          <div
            className="absolute inset-y-0 -ml-1.5 w-3 rounded border-2 border-surface bg-ink transition-[left] duration-200"
            style={{ left: place(value) }}
          />
        )}
      </div>
      {/* The ends' words stand below the numbers: a threshold near an end would run into them. */}
      <div aria-hidden="true" className="relative h-9 text-xs text-muted">
        <span className="absolute left-0 top-4">real</span>
        {marks.map((threshold) => (
          <span key={threshold} className="absolute -translate-x-1/2 whitespace-nowrap" style={{ left: place(threshold) }}>
            {exact(threshold)}
          </span>
        ))}
        <span className="absolute right-0 top-4">fake</span>
      </div>
    </div>
  );
}
