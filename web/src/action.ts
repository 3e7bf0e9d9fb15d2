/** A request to the server: whether it is in progress, and why it failed. */

import { useState } from "react";
import { asFailure } from "./stream/failure";
import { asSentence } from "./words";

export interface Action {
  readonly busy: boolean;
  /** A sentence; empty without an error. */
  readonly problem: string;
  /** @returns whether it succeeded */
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

/** The text in a field of a form. */
export function entry(form: FormData, name: string): string {
  const value = form.get(name);
  return typeof value === "string" ? value : "";
}
