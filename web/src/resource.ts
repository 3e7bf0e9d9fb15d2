/** Data read from the server once, and again on demand. */

import { useCallback, useEffect, useState } from "react";
import { asFailure, type StreamFailure } from "./stream/failure";

export type Resource<T> =
  | { readonly state: "loading" }
  | { readonly state: "ready"; readonly value: T }
  | { readonly state: "failed"; readonly failure: StreamFailure; /** is being reloaded */ readonly retrying: boolean };

/**
 * @param load must be the same function on every render
 * @returns the resource, and a function that reloads it; the current data are kept until the response arrives
 */
export function useResource<T>(load: () => Promise<T>): readonly [Resource<T>, () => void] {
  const [resource, setResource] = useState<Resource<T>>({ state: "loading" });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let wanted = true;
    load().then(
      (value) => {
        if (wanted) setResource({ state: "ready", value });
      },
      (error: unknown) => {
        if (wanted) setResource({ state: "failed", failure: asFailure(error), retrying: false });
      },
    );
    return () => {
      wanted = false;
    };
  }, [load, round]);
  const reload = useCallback(() => {
    setResource((before) => (before.state === "failed" ? { ...before, retrying: true } : before));
    setRound((before) => before + 1);
  }, []);
  return [resource, reload];
}
