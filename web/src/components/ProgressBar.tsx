interface Props {
  readonly label: string;
  /** in [0, 1] */
  readonly share: number;
  /** What is said in place of the percentage. */
  readonly words: string;
}

/** How far something is. It is not announced by itself: `Milestones` does that, now and then. */
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

/** Says aloud what changed, when the text changes; nothing is seen of it. */
export function Milestones({ children }: { readonly children: string }) {
  return (
    <p role="status" className="sr-only" data-testid="milestone">
      {children}
    </p>
  );
}
