import { useCallback, useState, type SubmitEvent } from "react";
import { entry, useAction } from "../action";
import { useResource } from "../resource";
import { ROLE_WORDS, useMay, useMe } from "../roles";
import { useServices } from "../services";
import { covers, ROLES, type ApiToken, type MadeToken } from "../stream/access";
import { moment } from "../times";
import { Button } from "./Button";
import { ConfirmDialog } from "./ConfirmDialog";
import { Field, INPUT } from "./Field";
import { Failed, Loading } from "./ListState";

const EXPIRIES = [
  { days: 30, label: "In 30 days" },
  { days: 90, label: "In 90 days" },
  { days: 365, label: "In a year" },
  { days: null, label: "Never" },
] as const;

/** The user's tokens for programs and publishers: create, list and revoke them. */
export function Tokens() {
  const { access } = useServices();
  const isAdmin = useMay("admin");
  const [all, setAll] = useState(false);
  const [made, setMade] = useState<MadeToken | null>(null);
  const [tokens, reload] = useResource(useCallback(() => access.tokens(all), [access, all]));
  return (
    <section aria-labelledby="tokens-title" data-testid="tokens" className="panel space-y-4 p-4">
      <div className="flex flex-wrap items-center justify-between gap-x-4">
        <h2 id="tokens-title" className="font-semibold">
          API tokens
        </h2>
        {isAdmin && (
          <label className="flex min-h-11 cursor-pointer items-center gap-3 text-sm">
            <input
              type="checkbox"
              data-testid="all-tokens"
              checked={all}
              onChange={(event) => {
                setAll(event.target.checked);
              }}
              className="size-4 accent-ink"
            />
            Tokens of all users
          </label>
        )}
      </div>
      <p className="text-sm text-muted">
        For programs, as “Authorization: Bearer …”, and for WHIP publishers. A token that is revoked ends its streams within two seconds.
      </p>
      {tokens.state === "loading" && <Loading>Loading the tokens …</Loading>}
      {tokens.state === "failed" && (
        <Failed what="The tokens could not be loaded." failure={tokens.failure} retrying={tokens.retrying} onRetry={reload} />
      )}
      {tokens.state === "ready" && tokens.value.length === 0 && <p className="text-sm">There are no tokens.</p>}
      {tokens.state === "ready" && tokens.value.length > 0 && (
        <ul className="space-y-2">
          {tokens.value.map((token) => (
            <TokenRow key={token.id} token={token} withOwner={all} onRevoked={reload} />
          ))}
        </ul>
      )}
      {made !== null && <Made token={made} />}
      <NewToken
        onMade={(token) => {
          setMade(token);
          reload();
        }}
      />
    </section>
  );
}

interface RowProps {
  readonly token: ApiToken;
  readonly withOwner: boolean;
  readonly onRevoked: () => void;
}

function TokenRow({ token, withOwner, onRevoked }: RowProps) {
  const { access } = useServices();
  const [asked, setAsked] = useState(false);
  const facts = [
    withOwner ? `of ${token.owner}` : "",
    token.camera === null ? ROLE_WORDS[token.role] : `publishes to ${token.camera} only`,
    token.expiresAt === null ? "does not expire" : `expires ${moment(token.expiresAt)}`,
    token.lastUsedAt === null ? "never used" : `last used ${moment(token.lastUsedAt)}`,
  ];
  return (
    <li data-testid="token" className="flex flex-wrap items-center gap-x-4 gap-y-2 border-t border-edge pt-2">
      <div className="min-w-0 flex-1 basis-56">
        <p className="font-semibold">{token.name}</p>
        <p className="text-sm text-muted">{facts.filter(Boolean).join(" · ")}</p>
      </div>
      <Button
        testId="revoke"
        onClick={() => {
          setAsked(true);
        }}
      >
        Revoke
        <span className="sr-only"> {token.name}</span>
      </Button>
      {asked && (
        <ConfirmDialog
          title={`Revoke ${token.name}?`}
          action="Revoke"
          onConfirm={async () => {
            await access.removeToken(token.id);
            setAsked(false);
            onRevoked();
          }}
          onClose={() => {
            setAsked(false);
          }}
        >
          Programs that use it are refused at once, and their streams end.
        </ConfirmDialog>
      )}
    </li>
  );
}

/** The value, which the server does not store. */
function Made({ token }: { readonly token: MadeToken }) {
  return (
    <div role="status" data-testid="made-token" className="rounded-lg border border-edge p-3 text-sm">
      <p className="font-semibold">{token.name}: copy the token now. It is not shown again.</p>
      <p className="mt-2 font-mono break-all select-all">{token.token}</p>
    </div>
  );
}

function NewToken({ onMade }: { readonly onMade: (token: MadeToken) => void }) {
  const { access } = useServices();
  const me = useMe();
  const { busy, problem, run } = useAction();
  const roles = ROLES.filter((role) => me?.role != null && covers(me.role, role));
  const make = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    const given = new FormData(form);
    const role = ROLES.find((one) => one === given.get("role")) ?? "viewer";
    const days = entry(given, "days");
    const camera = entry(given, "camera").trim();
    const wish = {
      name: entry(given, "name").trim(),
      role,
      expiresInDays: days === "" ? null : Number(days),
      camera: camera === "" ? null : camera,
    };
    const done = await run(async () => {
      onMade(await access.addToken(wish));
    });
    if (done) form.reset();
  };
  return (
    <form onSubmit={(event) => void make(event)} className="space-y-3 border-t border-edge pt-4">
      <h3 className="text-sm text-muted">New token</h3>
      <div className="grid gap-3 sm:grid-cols-2 lg:grid-cols-4">
        <Field label="Name">
          <input name="name" required maxLength={64} autoComplete="off" className={INPUT} />
        </Field>
        <Field label="Role">
          <select name="role" className={INPUT}>
            {roles.map((role) => (
              <option key={role} value={role}>
                {ROLE_WORDS[role]}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Expires">
          <select name="days" defaultValue="90" className={INPUT}>
            {EXPIRIES.map(({ days, label }) => (
              <option key={label} value={days ?? ""}>
                {label}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Camera (optional)" hint="The token can then only publish to this camera.">
          <input name="camera" maxLength={40} autoComplete="off" spellCheck={false} className={INPUT} />
        </Field>
      </div>
      <p role="alert" className="font-semibold empty:hidden">
        {problem}
      </p>
      <Button submit disabled={busy} testId="make-token">
        Create a token
      </Button>
    </form>
  );
}
