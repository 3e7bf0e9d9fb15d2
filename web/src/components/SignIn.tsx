import { useState, type SubmitEvent } from "react";
import { entry } from "../action";
import { useServices } from "../services";
import { oidcPath, type Me } from "../stream/access";
import { asFailure } from "../stream/failure";
import { asSentence } from "../words";
import { Button } from "./Button";
import { Field, INPUT } from "./Field";

interface Props {
  readonly methods: Me["signIn"];
  readonly onSignedIn: () => void;
  readonly onToken: () => void;
}

/** Shown instead of all pages while nobody is signed in. */
export function SignIn({ methods, onSignedIn, onToken }: Props) {
  const { identity } = useServices();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const submit = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setProblem("");
    try {
      await identity.signIn(entry(form, "name"), entry(form, "password"));
      onSignedIn();
    } catch (error) {
      const failure = asFailure(error);
      setProblem(failure.code === "token" ? "The name or the password is wrong." : asSentence(failure.detail));
      setBusy(false);
    }
  };
  return (
    <div data-testid="sign-in" className="panel mx-auto mt-8 max-w-sm space-y-4 p-6">
      <h1 className="text-xl font-semibold">Sign in</h1>
      {methods.password && (
        <form onSubmit={(event) => void submit(event)} className="space-y-4">
          <Field label="Name">
            <input name="name" autoComplete="username" autoCapitalize="none" spellCheck={false} required className={INPUT} />
          </Field>
          <Field label="Password">
            <input name="password" type="password" autoComplete="current-password" required className={INPUT} />
          </Field>
          <p role="alert" className="font-semibold empty:hidden">
            {problem}
          </p>
          <Button primary submit disabled={busy} testId="sign-in-submit">
            {busy ? "Signing in …" : "Sign in"}
          </Button>
        </form>
      )}
      {methods.oidc !== null && (
        <a
          href={oidcPath(window.location.hash)}
          data-testid="oidc"
          className="inline-flex h-11 items-center rounded-lg border border-edge bg-surface px-4 hover:border-ink"
        >
          Sign in with {methods.oidc}
        </a>
      )}
      <p className="text-sm text-muted">
        Users are created by an admin, who can also set a new password.{" "}
        <button type="button" onClick={onToken} className="cursor-pointer underline">
          Use an access token
        </button>
      </p>
    </div>
  );
}
