import type { ReactNode } from "react";
import type { StreamFailure } from "../stream/failure";
import type { StreamSnapshot } from "../stream/checkStream";
import { failureWords, type Browser } from "../words";

interface Props {
  readonly failure: StreamFailure;
  readonly source: StreamSnapshot["source"];
  readonly browser: Browser;
  /** Status and actions; not announced, because it may contain a countdown. */
  readonly children?: ReactNode;
}

/** What went wrong and what to do; announced once. */
export function Message({ failure, source, browser, children }: Props) {
  const { title, text, steps } = failureWords(failure, source, browser);
  return (
    <div data-testid="message" data-code={failure.code} className="max-w-md text-left">
      <div role="alert">
        <p className="text-lg font-semibold">{title}</p>
        <p className="mt-1">{text}</p>
        {steps.length > 0 && (
          <ol className="mt-2 list-decimal space-y-1 pl-5">
            {steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
        )}
      </div>
      {children !== undefined && <div className="mt-3">{children}</div>}
    </div>
  );
}
