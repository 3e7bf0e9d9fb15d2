import type { FeedMotion } from "../stream/messages";
import { asSentence } from "../words";
import { StateIcon } from "./StateIcon";

interface Props {
  readonly feed: FeedMotion;
  readonly reason: string;
}

const TITLES = { frozen: "Frozen feed", looped: "Looped feed" } as const;

/** Says that the video is frozen or looped, and what follows from that. */
export function FeedNotice({ feed, reason }: Props) {
  if (feed === "live") return null;
  return (
    <p role="status" data-testid="feed" data-state={feed} className="mt-3 flex gap-2 rounded-lg border border-edge p-3 text-sm">
      <StateIcon state={feed} className="size-5" />
      <span>
        <span className="font-semibold">{TITLES[feed]}:</span> {asSentence(reason)} Such a feed is never called real.
      </span>
    </p>
  );
}
