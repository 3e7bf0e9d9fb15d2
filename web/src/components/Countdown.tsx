import { useEffect, useState } from "react";

/** "in 5 s", then "now", for a moment on the page's clock (ms of performance.now()). */
export function Countdown({ untilMs }: { readonly untilMs: number }) {
  const [leftS, setLeftS] = useState(() => secondsUntil(untilMs));
  useEffect(() => {
    const timer = setInterval(() => {
      setLeftS(secondsUntil(untilMs));
    }, 250);
    return () => {
      clearInterval(timer);
    };
  }, [untilMs]);
  return <span>{leftS === 0 ? "now" : `in ${leftS} s`}</span>;
}

function secondsUntil(untilMs: number): number {
  return Math.max(0, Math.ceil((untilMs - performance.now()) / 1000));
}
