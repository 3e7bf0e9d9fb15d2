import { useEffect, useState } from "react";

const sinceStart = (): number => performance.now();

interface Props {
  readonly untilMs: number;
  /** The clock that `untilMs` is on: the page's own (ms of performance.now()), or Date.now. */
  readonly clock?: () => number;
}

/** "in 5 s", then "now". */
export function Countdown({ untilMs, clock = sinceStart }: Props) {
  const [leftS, setLeftS] = useState(() => secondsUntil(untilMs, clock()));
  useEffect(() => {
    const timer = setInterval(() => {
      setLeftS(secondsUntil(untilMs, clock()));
    }, 250);
    return () => {
      clearInterval(timer);
    };
  }, [untilMs, clock]);
  return <span>{leftS === 0 ? "now" : `in ${leftS} s`}</span>;
}

function secondsUntil(untilMs: number, nowMs: number): number {
  return Math.max(0, Math.ceil((untilMs - nowMs) / 1000));
}
