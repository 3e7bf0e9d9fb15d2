import type { ReactNode } from "react";

export const INPUT = "mt-1 h-11 w-full min-w-0 rounded-lg border border-edge bg-canvas px-3";

interface Props {
  readonly label: string;
  readonly hint?: string;
  readonly children: ReactNode;
}

/** An input with its label above and a hint below. */
export function Field({ label, hint, children }: Props) {
  return (
    <label className="block min-w-0">
      <span className="text-sm text-muted">{label}</span>
      {children}
      {hint !== undefined && <span className="mt-1 block text-xs text-muted">{hint}</span>}
    </label>
  );
}

interface TickProps {
  readonly name: string;
  readonly label: string;
  readonly checked: boolean;
  readonly children: ReactNode;
}

export function Tick({ name, label, checked, children }: TickProps) {
  return (
    <label className="flex min-h-11 cursor-pointer items-start gap-3">
      <input name={name} type="checkbox" defaultChecked={checked} className="mt-1 size-4 shrink-0 accent-ink" />
      <span>
        {label}
        <span className="block text-xs text-muted">{children}</span>
      </span>
    </label>
  );
}
