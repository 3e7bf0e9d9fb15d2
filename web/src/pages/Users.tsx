import { useCallback, useState, type SubmitEvent } from "react";
import { entry, useAction } from "../action";
import { Button } from "../components/Button";
import { ConfirmDialog } from "../components/ConfirmDialog";
import { Dialog } from "../components/Dialog";
import { Field, INPUT } from "../components/Field";
import { Empty, Failed, Loading } from "../components/ListState";
import { ServerPlaces } from "../components/ServerPlaces";
import { Sessions } from "../components/Sessions";
import { useResource } from "../resource";
import { ROLE_MEANINGS, ROLE_WORDS } from "../roles";
import { useServices } from "../services";
import { ROLES, type Role, type User } from "../stream/access";
import { moment } from "../times";

/** The users of this server, for admins. */
export function Users() {
  const { access, identity } = useServices();
  const [users, reload] = useResource(useCallback(() => access.users(), [access]));
  const [adding, setAdding] = useState(false);
  const list = users.state === "ready" ? users.value : [];
  const changed = (): void => {
    reload();
    void identity.refresh(); // from the first user on, everybody has to sign in
  };
  return (
    <div className="mx-auto max-w-4xl space-y-4">
      <ServerPlaces page="users" />
      <div className="flex flex-wrap items-center gap-x-4 gap-y-3">
        <h1 className="text-xl font-semibold">Users</h1>
        <span className="ml-auto">
          <Button
            primary
            testId="add-user"
            disabled={users.state !== "ready"}
            onClick={() => {
              setAdding(true);
            }}
          >
            Add a user
          </Button>
        </span>
      </div>
      {users.state === "loading" && <Loading>Loading the users …</Loading>}
      {users.state === "failed" && (
        <Failed what="The users could not be loaded." failure={users.failure} retrying={users.retrying} onRetry={reload} />
      )}
      {users.state === "ready" && list.length === 0 && (
        <Empty>
          <p className="font-semibold">There are no users: nobody has to sign in.</p>
          <p>The first user is an admin. From then on, everybody has to sign in, including you.</p>
        </Empty>
      )}
      {list.length > 0 && (
        <ul aria-label="Users" className="space-y-2">
          {list.map((user) => (
            <UserRow key={user.name} user={user} onChanged={changed} />
          ))}
        </ul>
      )}
      {adding && (
        <AddUser
          first={list.length === 0}
          onAdded={changed}
          onClose={() => {
            setAdding(false);
          }}
        />
      )}
    </div>
  );
}

interface RowProps {
  readonly user: User;
  readonly onChanged: () => void;
}

function UserRow({ user, onChanged }: RowProps) {
  const { access } = useServices();
  const { busy, problem, run } = useAction();
  const [open, setOpen] = useState<"none" | "sessions" | "password" | "remove">("none");
  const close = (): void => {
    setOpen("none");
  };
  const change = async (what: Parameters<typeof access.changeUser>[1]): Promise<void> => {
    await access.changeUser(user.name, what);
    onChanged();
  };
  return (
    <li data-testid="user" data-name={user.name} className="panel space-y-2 p-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="min-w-0 basis-full">
          <p className="font-semibold">
            {user.name}
            {user.disabled && <span className="font-normal text-muted"> (disabled)</span>}
          </p>
          <p className="text-sm text-muted">
            Added {moment(user.createdAt)} · {user.lastSignInAt === null ? "never signed in" : `last sign-in ${moment(user.lastSignInAt)}`}
          </p>
        </div>
        <RoleChoice label={`Role of ${user.name}`} role={user.role} disabled={busy} onChoose={(role) => void run(() => change({ role }))} />
        <Button testId="disable-user" disabled={busy} onClick={() => void run(() => change({ disabled: !user.disabled }))}>
          {user.disabled ? "Enable" : "Disable"}
          <span className="sr-only"> {user.name}</span>
        </Button>
        <Button
          testId="user-sessions"
          onClick={() => {
            setOpen("sessions");
          }}
        >
          Sign-ins
          <span className="sr-only"> of {user.name}</span>
        </Button>
        <Button
          testId="reset-password"
          onClick={() => {
            setOpen("password");
          }}
        >
          New password
          <span className="sr-only"> for {user.name}</span>
        </Button>
        <Button
          testId="remove-user"
          onClick={() => {
            setOpen("remove");
          }}
        >
          Remove
          <span className="sr-only"> {user.name}</span>
        </Button>
      </div>
      <p role="alert" className="font-semibold empty:hidden">
        {problem}
      </p>
      {open === "sessions" && <UserSessions name={user.name} onClose={close} />}
      {open === "password" && <NewPassword name={user.name} onChange={(password) => change({ password })} onClose={close} />}
      {open === "remove" && (
        <ConfirmDialog
          title={`Remove ${user.name}?`}
          action="Remove"
          onConfirm={async () => {
            await access.removeUser(user.name);
            close();
            onChanged();
          }}
          onClose={close}
        >
          Their sign-ins and tokens end at once, and so do their streams. Their actions remain in the audit log.
        </ConfirmDialog>
      )}
    </li>
  );
}

interface RoleProps {
  readonly label: string;
  readonly role: Role;
  readonly disabled: boolean;
  readonly onChoose: (role: Role) => void;
}

function RoleChoice({ label, role, disabled, onChoose }: RoleProps) {
  return (
    <select
      aria-label={label}
      data-testid="role"
      value={role}
      disabled={disabled}
      onChange={(event) => {
        onChoose(ROLES.find((one) => one === event.target.value) ?? role);
      }}
      className="h-11 cursor-pointer rounded-lg border border-edge bg-surface px-3"
    >
      {ROLES.map((one) => (
        <option key={one} value={one}>
          {ROLE_WORDS[one]}
        </option>
      ))}
    </select>
  );
}

interface SessionsProps {
  readonly name: string;
  readonly onClose: () => void;
}

function UserSessions({ name, onClose }: SessionsProps) {
  const { access } = useServices();
  const { busy, problem, run } = useAction();
  const endAll = async (): Promise<void> => {
    await access.endSessions(name);
    onClose();
  };
  return (
    <Dialog title={`Where ${name} is signed in`} onClose={onClose} testId="sessions-dialog" busy={busy}>
      <div className="space-y-4">
        <Sessions user={name} />
        <p role="alert" className="font-semibold empty:hidden">
          {problem}
        </p>
        <div className="flex flex-wrap gap-2">
          <Button testId="end-sessions" disabled={busy} onClick={() => void run(endAll)}>
            Sign out everywhere
          </Button>
          <Button disabled={busy} onClick={onClose}>
            Close
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

interface NewPasswordProps {
  readonly name: string;
  readonly onChange: (password: string) => Promise<void>;
  readonly onClose: () => void;
}

function NewPassword({ name, onChange, onClose }: NewPasswordProps) {
  const { busy, problem, run } = useAction();
  const submit = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const password = entry(new FormData(event.currentTarget), "password");
    if (await run(() => onChange(password))) onClose();
  };
  return (
    <Dialog title={`New password for ${name}`} onClose={onClose} testId="password-dialog" busy={busy}>
      <form onSubmit={(event) => void submit(event)} className="space-y-4">
        <PasswordField hint="They will be signed out everywhere. Tell them the new password yourself." />
        <p role="alert" className="font-semibold empty:hidden">
          {problem}
        </p>
        <div className="flex flex-wrap gap-2">
          <Button primary submit disabled={busy}>
            Set password
          </Button>
          <Button disabled={busy} onClick={onClose}>
            Cancel
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function PasswordField({ hint }: { readonly hint: string }) {
  return (
    <Field label="Password" hint={`At least 12 characters. ${hint}`}>
      <input name="password" type="password" autoComplete="new-password" minLength={12} required className={INPUT} />
    </Field>
  );
}

interface AddProps {
  /** There are no users yet: the first one has to be an admin. */
  readonly first: boolean;
  readonly onAdded: () => void;
  readonly onClose: () => void;
}

function AddUser({ first, onAdded, onClose }: AddProps) {
  const { access } = useServices();
  const { busy, problem, run } = useAction();
  const roles = first ? (["admin"] as const) : ROLES;
  const submit = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const role = ROLES.find((one) => one === given.get("role")) ?? "viewer";
    const user = { name: entry(given, "name").trim(), role, password: entry(given, "password") };
    if (await run(() => access.addUser(user))) {
      onAdded();
      onClose();
    }
  };
  return (
    <Dialog title="Add a user" onClose={onClose} testId="user-dialog" busy={busy}>
      <form onSubmit={(event) => void submit(event)} className="space-y-4">
        <Field label="Name" hint="Lower-case letters, digits and . _ @ + -">
          <input name="name" required maxLength={64} autoComplete="off" autoCapitalize="none" spellCheck={false} className={INPUT} />
        </Field>
        <Field label="Role">
          <select name="role" className={INPUT}>
            {roles.map((role) => (
              <option key={role} value={role}>
                {ROLE_WORDS[role]}: {ROLE_MEANINGS[role]}
              </option>
            ))}
          </select>
        </Field>
        <PasswordField hint="They can change it on their account page." />
        <p role="alert" className="font-semibold empty:hidden">
          {problem}
        </p>
        <div className="flex flex-wrap gap-2">
          <Button primary submit disabled={busy}>
            Add
          </Button>
          <Button disabled={busy} onClick={onClose}>
            Cancel
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
