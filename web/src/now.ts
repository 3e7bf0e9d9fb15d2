/** The current time, for texts that say how long something has lasted. */

import { useEffect, useState } from "react";

const EVERY_MS = 5_000;

/** Unix seconds, a few seconds old at most. */
export function useNowS(): number {
  const [nowS, setNowS] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => {
      setNowS(Date.now() / 1000);
    }, EVERY_MS);
    return () => {
      clearInterval(timer);
    };
  }, []);
  return nowS;
}
