import type { SubmitEvent } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";

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
        <label className="block">
          <span className="text-sm text-muted">Token</span>
          <input
            name="token"
            type="password"
            autoComplete="off"
            required
            className="mt-1 h-11 w-full rounded-lg border border-edge bg-canvas px-3"
          />
        </label>
        <p role="alert" className="min-h-6 font-semibold">
          {refused ? "The server refused that token." : ""}
        </p>
        <Button primary submit>
          Continue
        </Button>
      </form>
    </Dialog>
  );
}
