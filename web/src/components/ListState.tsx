import type { ReactNode } from "react";
import type { StreamFailure } from "../stream/failure";
import { asSentence } from "../words";
import { Button } from "./Button";

/** A list that is being loaded. */
export function Loading({ children }: { readonly children: ReactNode }) {
  return (
    <p role="status" className="text-muted">
      {children}
    </p>
  );
}

/** An empty list, with what to do about it. */
export function Empty({ children }: { readonly children: ReactNode }) {
  return (
    <div data-testid="empty" className="panel space-y-3 p-4 md:p-6">
      {children}
    </div>
  );
}

interface FailedProps {
  /** "The cameras could not be loaded." */
  readonly what: string;
  readonly failure: StreamFailure;
  readonly retrying: boolean;
  readonly onRetry: () => void;
}

/** A list that could not be loaded, with a button to try again. */
export function Failed({ what, failure, retrying, onRetry }: FailedProps) {
  return (
    <div role="alert" data-testid="failed" className="panel space-y-3 p-4">
      <p>
        {what} {asSentence(failure.detail)}
      </p>
      <Button onClick={onRetry}>{retrying ? "Trying …" : "Try again"}</Button>
    </div>
  );
}
