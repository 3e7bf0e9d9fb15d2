import { probability } from "../figures";
import type { FaceResult } from "../stream/messages";
import { lineStyle } from "./lineStyle";
import { VerdictBadge } from "./VerdictBadge";

type Face = Pick<FaceResult, "track" | "state" | "reason" | "fakeProbability" | "rejected">;

/** One face: its line in the timeline, its verdict, and why. */
export function FaceChip({ face }: { readonly face: Face }) {
  const { variable, dash } = lineStyle(face.track);
  return (
    <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
      <svg viewBox="0 0 20 4" aria-hidden="true" className="h-1 w-5">
        <line x1="0" y1="2" x2="20" y2="2" stroke={`var(${variable})`} strokeWidth="3" strokeDasharray={dash.join(" ")} />
      </svg>
      <span className="font-semibold">Face {face.track}</span>
      <VerdictBadge state={face.state} size="small" />
      <span className="ml-auto text-sm">{probability(face.fakeProbability)}</span>
      <span className="basis-full text-sm text-muted">{face.rejected ?? face.reason}</span>
    </div>
  );
}
