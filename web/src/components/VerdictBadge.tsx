import { WORDS, type ShownState } from "../words";
import { StateIcon } from "./StateIcon";

/** Dark text on orange and vermilion, white text on blue and grey: all contrasts are above 4.5 : 1. */
const COLOURS: Readonly<Record<ShownState, string>> = {
  real: "bg-real text-white",
  uncertain: "bg-uncertain text-black",
  fake: "bg-fake text-black",
  gathering: "bg-unknown text-white",
  no_face: "bg-unknown text-white",
  stale: "bg-unknown text-white hatched",
  unavailable: "bg-unknown text-white",
  offline: "bg-unknown text-white hatched",
  frozen: "bg-unknown text-white hatched",
  looped: "bg-unknown text-white hatched",
  idle: "border border-edge text-muted",
};

interface Props {
  readonly state: ShownState;
  /** large: the stream's verdict; small: one face's */
  readonly size: "large" | "small";
  /** Replaces the state's own word, for example for a camera's state. */
  readonly word?: string | undefined;
  readonly testId?: string;
}

/** A state as a colour, an icon and a word. */
export function VerdictBadge({ state, size, word = WORDS[state], testId }: Props) {
  const measure =
    size === "large"
      ? "flex h-16 w-full gap-3 rounded-lg px-3 text-xl @2xs:px-4 @2xs:text-2xl @xs:text-3xl"
      : "inline-flex h-6 shrink-0 gap-1 rounded px-2 text-sm whitespace-nowrap";
  return (
    <span data-testid={testId} data-state={state} className={`items-center font-semibold ${measure} ${COLOURS[state]}`}>
      <StateIcon state={state} className={size === "large" ? "size-7 @2xs:size-9" : "size-4"} />
      {word}
    </span>
  );
}
