import { useState, type ReactNode } from "react";
import { asFailure } from "../stream/failure";
import { asSentence } from "../words";
import { Button } from "./Button";
import { Dialog } from "./Dialog";

interface Props {
  readonly title: string;
  /** Label of the confirming button. */
  readonly action: string;
  readonly onConfirm: () => Promise<void>;
  readonly onClose: () => void;
  /** What will be deleted, and what is kept. */
  readonly children: ReactNode;
}

/** Asks for confirmation of an action that cannot be undone. */
export function ConfirmDialog({ title, action, onConfirm, onClose, children }: Props) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const confirm = async (): Promise<void> => {
    setBusy(true);
    try {
      await onConfirm();
    } catch (error) {
      setProblem(asSentence(asFailure(error).detail));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose} testId="confirm-dialog" busy={busy}>
      <p>{children}</p>
      <p role="alert" className="mt-2 font-semibold empty:hidden">
        {problem}
      </p>
      <div className="mt-4 flex flex-wrap gap-2">
        <Button primary testId="confirm" disabled={busy} onClick={() => void confirm()}>
          {action}
        </Button>
        <Button disabled={busy} onClick={onClose}>
          Cancel
        </Button>
      </div>
    </Dialog>
  );
}
