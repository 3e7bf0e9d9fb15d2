import type { SubmitEvent } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { Field, INPUT } from "./Field";

interface Props {
  /** The server refused the previous token. */
  readonly refused: boolean;
  readonly onToken: (token: string) => void;
  readonly onClose: () => void;
}

/** Asks for the server's access token; it is kept for this tab only. */
export function TokenDialog({ refused, onToken, onClose }: Props) {
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const token = new FormData(event.currentTarget).get("token");
    if (typeof token === "string" && token.trim() !== "") onToken(token.trim());
  };
  return (
    <Dialog title="Access token" onClose={onClose} testId="token-dialog">
      <form onSubmit={submit} className="space-y-4">
        <p>This server requires an access token. Ask its administrator. The token is kept for this tab only.</p>
        <Field label="Token">
          <input name="token" type="password" autoComplete="off" required className={INPUT} />
        </Field>
        <p role="alert" className="min-h-6 font-semibold">
          {refused ? "The server refused that token." : ""}
        </p>
        <div className="flex flex-wrap gap-2">
          <Button primary submit>
            Continue
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </div>
      </form>
    </Dialog>
  );
}
