import { useCallback } from "react";
import { useAction } from "../action";
import { useResource } from "../resource";
import { useServices } from "../services";
import type { UserSession } from "../stream/access";
import { browserName } from "../stream/userAgent";
import { moment } from "../times";
import { Button } from "./Button";
import { Failed, Loading } from "./ListState";

interface Props {
  /** Name of the user; null: the user's own. */
  readonly user: string | null;
}

/** The sign-ins of a user, with their times and addresses, each with a button to end it. */
export function Sessions({ user }: Props) {
  const { access } = useServices();
  const [sessions, reload] = useResource(useCallback(() => access.sessions(user), [access, user]));
  if (sessions.state === "loading") return <Loading>Loading the sign-ins …</Loading>;
  if (sessions.state === "failed")
    return <Failed what="The sign-ins could not be loaded." failure={sessions.failure} retrying={sessions.retrying} onRetry={reload} />;
  if (sessions.value.length === 0) return <p className="text-sm">Not signed in anywhere.</p>;
  return (
    <ul aria-label="Sign-ins" className="space-y-2">
      {sessions.value.map((session) => (
        <SessionRow key={session.id} session={session} onEnded={reload} />
      ))}
    </ul>
  );
}

interface RowProps {
  readonly session: UserSession;
  readonly onEnded: () => void;
}

function SessionRow({ session, onEnded }: RowProps) {
  const { access } = useServices();
  const { busy, problem, run } = useAction();
  const browser = browserName(session.userAgent);
  const end = async (): Promise<void> => {
    await access.endSession(session.id);
    onEnded();
  };
  const facts = [session.address, `since ${moment(session.beganAt)}`, `last seen ${moment(session.seenAt)}`];
  return (
    <li data-testid="session" className="flex flex-wrap items-center gap-x-4 gap-y-2 border-t border-edge pt-2">
      <div className="min-w-0 flex-1 basis-56">
        <p className="font-semibold" title={session.userAgent}>
          {browser}
          {session.current && <span className="font-normal text-muted"> (this browser)</span>}
        </p>
        <p className="text-sm break-words text-muted">{facts.filter(Boolean).join(" · ")}</p>
        <p role="alert" className="text-sm font-semibold empty:hidden">
          {problem}
        </p>
      </div>
      {!session.current && (
        <Button testId="end-session" disabled={busy} onClick={() => void run(end)}>
          Sign out
          <span className="sr-only">
            {" "}
            {browser}, since {moment(session.beganAt)}
          </span>
        </Button>
      )}
    </li>
  );
}
