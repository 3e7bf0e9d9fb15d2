import type { Analysis } from "../stream/analyses";
import { asSentence } from "../words";

type Found = NonNullable<Analysis["credentials"]>;

const STATES: Readonly<Record<Found["state"], string>> = {
  none: "None: like most files, this one has no Content Credentials. That says nothing about whether it is real.",
  valid: "Valid: the signature is valid, and this server trusts the signer.",
  untrusted: "Untrusted: the signature is valid, but this server does not trust the signer.",
  broken: "Broken: the signature is invalid. The file was changed after it was signed, or its credentials are forged.",
  unreadable: "Unreadable: the file has Content Credentials that cannot be read.",
  unread: "Not read: the file has Content Credentials, but this server lacks the extra c2pa that reads them.",
};

/** What a file states about its own origin (C2PA), independent of the verdict. */
export function Credentials({ credentials }: { readonly credentials: Found }) {
  const { state, signer, issuer, generated, actions, claimGenerator, problem } = credentials;
  const facts: readonly (readonly [string, string])[] = [
    ["Signed by", signer ?? ""],
    ["Certificate from", issuer ?? ""],
    ["Written by", claimGenerator ?? ""],
    ["Edits", actions.join(", ")],
  ];
  return (
    <section aria-labelledby="credentials-title" data-testid="credentials" data-state={state} className="panel space-y-3 p-4 text-sm">
      <h2 id="credentials-title" className="text-base font-semibold">
        Content Credentials
      </h2>
      <p>{STATES[state]}</p>
      {generated === true && (
        <p className="font-semibold">
          The file declares that it was made by or with a generator.{state !== "valid" && " No trusted signer confirms that."}
        </p>
      )}
      {problem !== null && <p>{asSentence(problem)}</p>}
      <dl className="grid gap-x-4 gap-y-2 empty:hidden sm:grid-cols-[auto_1fr]">
        {facts
          .filter(([, value]) => value !== "")
          .map(([term, value]) => (
            <div key={term} className="sm:contents">
              <dt className="text-muted">{term}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      {state !== "none" && <p className="text-muted">Independent of the verdict: neither changes the other.</p>}
    </section>
  );
}
