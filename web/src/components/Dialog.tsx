import { useEffect, useId, useRef, useState, type ReactNode } from "react";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  readonly testId: string;
  /** A request is in progress: the dialog stays, to show its error. */
  readonly busy?: boolean;
  readonly children: ReactNode;
}

/** A modal dialog: open while it is rendered, closed by Escape unless it is busy. Then the focus returns to what opened it. */
export function Dialog({ title, onClose, testId, busy = false, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [opener] = useState(() => document.activeElement);
  useEffect(() => {
    dialog.current?.showModal();
    return () => {
      // Browsers do this only for a dialog that is closed, not for one that is removed.
      const lost = document.activeElement === null || document.activeElement === document.body;
      if (lost && opener instanceof HTMLElement) opener.focus({ preventScroll: true });
    };
  }, [opener]);
  return (
    <dialog
      ref={dialog}
      onCancel={(event) => {
        if (busy) event.preventDefault();
      }}
      onClose={() => {
        if (busy)
          dialog.current?.showModal(); // some browsers close it at the second Escape all the same
        else onClose();
      }}
      aria-labelledby={id}
      className="panel m-auto max-h-[calc(100dvh-32px)] w-[min(32rem,calc(100vw-32px))] overflow-y-auto p-4 text-ink backdrop:bg-black/60 sm:p-6"
      data-testid={testId}
    >
      <h2 id={id} className="mb-4 text-lg font-semibold">
        {title}
      </h2>
      {children}
    </dialog>
  );
}
