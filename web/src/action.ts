/** Something that the server is asked to do: whether it is under way, and why it was refused. */

import { useState } from "react";
import { asFailure } from "./stream/failure";
import { asSentence } from "./words";

export interface Action {
  readonly busy: boolean;
  /** A sentence; empty while nothing went wrong. */
  readonly problem: string;
  /** @returns whether it was done */
  readonly run: (work: () => Promise<unknown>) => Promise<boolean>;
}

export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const run = async (work: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setProblem("");
    try {
      await work();
      return true;
    } catch (error) {
      setProblem(asSentence(asFailure(error).detail));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, run };
}

/** What was written into a field of a form. */
export function entry(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
