interface Props {
  readonly label: string;
  /** in [0, 1] */
  readonly share: number;
  /** Text instead of the percentage. */
  readonly words: string;
}

/** A progress bar. Changes are not announced; `Milestones` announces some of them. */
export function ProgressBar({ label, share, words }: Props) {
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(share * 100)}
      aria-valuetext={words}
      className="h-2 w-full overflow-hidden rounded border border-edge bg-canvas"
    >
      <div className="h-full bg-ink transition-[width] duration-200" style={{ width: `${share * 100}%` }} />
    </div>
  );
}

/** Announces its text to screen readers when it changes; invisible. */
export function Milestones({ children }: { readonly children: string }) {
  return (
    <p role="status" className="sr-only" data-testid="milestone">
      {children}
    </p>
  );
}
