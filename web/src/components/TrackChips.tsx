import { useState } from "react";
import type { Playhead } from "../playhead";
import type { FaceTrack } from "../stream/analysisResults";
import { MAX_LINES, worstFirst } from "../stream/reviewTimeline";
import { mediaTime } from "../times";
import { Button } from "./Button";
import { FaceChip } from "./FaceChip";

interface Props {
  readonly tracks: readonly FaceTrack[];
  /** Faces in a picture have no time. */
  readonly timed: boolean;
  readonly playhead: Playhead;
}

/** The faces, the worst first; those with a line in the timeline are always visible. */
export function TrackChips({ tracks, timed, playhead }: Props) {
  const [all, setAll] = useState(false);
  const ordered = worstFirst(tracks);
  const shown = all ? ordered : ordered.slice(0, MAX_LINES);
  if (tracks.length === 0) return <p className="mt-2 text-sm text-muted">No face was found.</p>;
  return (
    <>
      <ul data-testid="tracks" className="mt-2 space-y-3">
        {shown.map((track) => (
          <li key={track.track}>
            <FaceChip face={{ ...track, rejected: null }} />
            {timed && (
              <button
                type="button"
                onClick={() => {
                  playhead.seek(track.fromS);
                }}
                className="min-h-6 cursor-pointer text-sm underline"
              >
                <span className="sr-only">Go to face {track.track}: </span>
                {mediaTime(track.fromS, 1)} to {mediaTime(track.toS, 1)}
              </button>
            )}
          </li>
        ))}
      </ul>
      {ordered.length > shown.length && (
        <div className="mt-3">
          <Button
            onClick={() => {
              setAll(true);
            }}
          >
            All {ordered.length} faces
          </Button>
        </div>
      )}
    </>
  );
}
