import type { ReactNode } from "react";

interface Props {
  /** At most one of a page, or of a dialog. */
  readonly primary?: boolean;
  readonly submit?: boolean;
  readonly disabled?: boolean;
  readonly testId?: string;
  readonly onClick?: () => void;
  readonly children: ReactNode;
}

export function Button({ primary = false, submit = false, disabled = false, testId, onClick, children }: Props) {
  const look = primary ? "min-w-32 bg-ink font-semibold text-canvas hover:opacity-90" : "border border-edge bg-surface hover:border-ink";
  return (
    <button
      type={submit ? "submit" : "button"}
      data-testid={testId}
      disabled={disabled}
      onClick={onClick}
      className={`h-11 shrink-0 cursor-pointer rounded-lg px-4 disabled:cursor-default disabled:opacity-60 ${look}`}
    >
      {children}
    </button>
  );
}
