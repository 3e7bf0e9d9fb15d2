import { useEffect, useRef, useState, type SubmitEvent } from "react";
import { entry, useAction } from "../action";
import { Button } from "../components/Button";
import { Field, INPUT } from "../components/Field";
import { ServerPlaces } from "../components/ServerPlaces";
import { Sessions } from "../components/Sessions";
import { Tokens } from "../components/Tokens";
import { ROLE_MEANINGS, ROLE_WORDS, useMe } from "../roles";
import { useServices } from "../services";
import type { Me } from "../stream/access";

/** The user's account: sign-ins, sign-out, password and tokens. */
export function Account() {
  const me = useMe();
  return (
    <div className="mx-auto max-w-4xl space-y-4">
      <ServerPlaces page="account" />
      <h1 className="text-xl font-semibold">Account</h1>
      <p data-testid="who" className="panel p-4">
        {me === null ? "The server has not yet said who you are." : whoWords(me)}
      </p>
      {me?.name != null && (
        <>
          <SignOut />
          {me.by === "session" && <SignIns />}
          {me.by === "session" && <Password />}
          <Tokens />
        </>
      )}
    </div>
  );
}

function whoWords({ name, role, by }: Me): string {
  if (role === null) return "Nobody is signed in.";
  const meaning = `${ROLE_WORDS[role]}: ${ROLE_MEANINGS[role]}.`;
  if (by === "open")
    return "This server has no users and no access control: anybody who can reach it can do everything. Add a first user to change that.";
  if (name === null) return `You use the access token of the settings file. ${meaning}`;
  return `You are ${name}. ${meaning}${by === "proxy" ? " You are signed in by single sign-on." : ""}`;
}

/** Signs out here or everywhere; the streams of the sign-in end with it. */
function SignOut() {
  const { identity } = useServices();
  const { busy, problem, run } = useAction();
  const leave = (everywhere: boolean) => () => {
    void run(() => identity.signOut(everywhere));
  };
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button testId="sign-out" disabled={busy} onClick={leave(false)}>
        Sign out
      </Button>
      <Button testId="sign-out-everywhere" disabled={busy} onClick={leave(true)}>
        Sign out everywhere
      </Button>
      <p role="alert" className="font-semibold empty:hidden">
        {problem}
      </p>
    </div>
  );
}

function SignIns() {
  return (
    <section aria-labelledby="sessions-title" data-testid="sessions" className="panel space-y-4 p-4">
      <h2 id="sessions-title" className="font-semibold">
        Where you are signed in
      </h2>
      <p className="text-sm text-muted">If you do not recognise a browser, sign it out and change your password.</p>
      <Sessions user={null} />
    </section>
  );
}

function Password() {
  const { access } = useServices();
  const { busy, problem, run } = useAction();
  const [done, setDone] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (done) form.current?.reset();
  }, [done]);
  const change = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    setDone(false);
    setDone(await run(() => access.changePassword(entry(given, "current"), entry(given, "next"))));
  };
  return (
    <section aria-labelledby="password-title" className="panel p-4">
      <h2 id="password-title" className="font-semibold">
        Password
      </h2>
      <form ref={form} onSubmit={(event) => void change(event)} className="mt-3 space-y-3">
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Current password">
            <input name="current" type="password" autoComplete="current-password" required className={INPUT} />
          </Field>
          <Field label="New password" hint="At least 12 characters. You will be signed out in all other browsers.">
            <input name="next" type="password" autoComplete="new-password" minLength={12} required className={INPUT} />
          </Field>
        </div>
        <p role="alert" className="font-semibold empty:hidden">
          {problem}
        </p>
        <div className="flex flex-wrap items-center gap-3">
          <Button submit disabled={busy} testId="change-password">
            Change the password
          </Button>
          <p role="status" className="text-sm">
            {done ? "The password was changed." : ""}
          </p>
        </div>
      </form>
    </section>
  );
}
