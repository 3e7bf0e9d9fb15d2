import { useEffect, useId, useRef, useState, type ReactNode } from "react";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  readonly testId: string;
  readonly children: ReactNode;
}

/** A modal dialog: open while it is rendered, closed by Escape. Then the focus returns to what opened it. */
export function Dialog({ title, onClose, testId, children }: Props) {
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
      onClose={onClose}
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
