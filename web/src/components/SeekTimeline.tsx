import { useEffect, useMemo, useRef, useState, useSyncExternalStore, type KeyboardEvent } from "react";
import { probability } from "../figures";
import type { Playhead } from "../playhead";
import type { ModelReview } from "../stream/analysisResults";
import {
  frameAt,
  reviewTimeline,
  showing,
  stepped,
  wholeRange,
  zoomed,
  type ReviewTimeline,
  type TimeRange,
} from "../stream/reviewTimeline";
import { mediaTime } from "../times";
import { Button } from "./Button";
import { ReviewChart } from "./reviewChart";
import { ReviewTable } from "./ReviewTable";

/** Number of samples by which Page Up and Page Down seek. */
const LEAP = 10;
const ZOOM = 0.5;

interface Props {
  readonly review: ModelReview;
  readonly rateHz: number;
  readonly durationS: number | null;
  readonly playhead: Playhead;
}

/** The scores over the whole video, synchronised with the player. */
export function SeekTimeline({ review, rateHz, durationS, playhead }: Props) {
  const { frames, flagged, model } = review;
  const timeline = useMemo(() => reviewTimeline(review, rateHz), [review, rateHz]);
  const whole = useMemo(() => wholeRange(durationS, frames), [durationS, frames]);
  const [range, setRange] = useState(whole);
  const [hovered, setHovered] = useState<number | null>(null);
  const timeS = useTenths(playhead);
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<ReviewChart | null>(null);

  useEffect(() => {
    if (box.current === null) return undefined;
    const drawn = new ReviewChart(box.current, {
      onHover: setHovered,
      onSeek: (at) => {
        playhead.seek(Math.min(whole.toS, Math.max(0, at)));
      },
      onRange: setRange,
    });
    chart.current = drawn;
    const follow = playhead.subscribe(() => {
      drawn.mark(playhead.timeS());
    });
    return () => {
      follow();
      drawn.close();
      chart.current = null;
    };
  }, [playhead, whole]);
  useEffect(() => {
    chart.current?.show({ timeline, thresholds: model.thresholds, flagged, range, whole });
    chart.current?.mark(playhead.timeS());
  }, [timeline, model, flagged, range, whole, playhead]);

  const seek = (at: number): void => {
    playhead.seek(at);
    setRange((before) => showing(before, at, whole));
  };
  const zoom = (factor: number): void => {
    setRange((before) => zoomed(showing(before, timeS, whole), factor, timeS, whole));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const act = keyAction(
      event.key,
      {
        seek,
        zoom,
        reset: () => {
          setRange(whole);
        },
        step: (by) => {
          seek(stepped(frames, timeS, by));
        },
      },
      whole,
    );
    if (act === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  };
  const hint = "Click to seek, drag to zoom. Line: window average; dots: single frames";
  return (
    <section aria-labelledby="scores-title" data-testid="seek-timeline" data-points={frames.length} className="panel p-4">
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <h2 id="scores-title" className="font-semibold">
          Scores over the video
        </h2>
        <ZoomButtons
          range={range}
          whole={whole}
          onZoom={zoom}
          onReset={() => {
            setRange(whole);
          }}
        />
      </div>
      <p className="mt-1 min-h-5 text-sm text-muted" aria-hidden="true">
        {hovered === null ? hint : readout(timeline, hovered)}
      </p>
      <div
        ref={box}
        role="slider"
        tabIndex={0}
        data-testid="seek"
        data-range={`${range.fromS.toFixed(2)} ${range.toS.toFixed(2)}`}
        aria-label="Position in the video; arrow keys step from sample to sample, plus and minus zoom, 0 shows everything"
        aria-valuemin={0}
        aria-valuemax={Math.round(whole.toS * 10) / 10}
        aria-valuenow={timeS}
        aria-valuetext={spoken(review, timeS)}
        onKeyDown={onKeyDown}
        className="relative mt-2 h-48 cursor-crosshair rounded"
      />
      <ReviewTable timeline={timeline} whole={whole} />
    </section>
  );
}

interface Actions {
  readonly seek: (timeS: number) => void;
  readonly step: (by: number) => void;
  readonly zoom: (factor: number) => void;
  readonly reset: () => void;
}

function keyAction(key: string, { seek, step, zoom, reset }: Actions, whole: TimeRange): (() => void) | undefined {
  const actions: Readonly<Record<string, () => void>> = {
    ArrowRight: () => {
      step(1);
    },
    ArrowUp: () => {
      step(1);
    },
    ArrowLeft: () => {
      step(-1);
    },
    ArrowDown: () => {
      step(-1);
    },
    PageUp: () => {
      step(LEAP);
    },
    PageDown: () => {
      step(-LEAP);
    },
    Home: () => {
      seek(whole.fromS);
    },
    End: () => {
      seek(whole.toS);
    },
    "+": () => {
      zoom(ZOOM);
    },
    "=": () => {
      zoom(ZOOM);
    },
    "-": () => {
      zoom(1 / ZOOM);
    },
    "0": reset,
  };
  return actions[key];
}

/** The player's position in tenths of a second: texts need not change sixty times a second. */
function useTenths(playhead: Playhead): number {
  return useSyncExternalStore(playhead.subscribe, () => Math.round(playhead.timeS() * 10) / 10);
}

interface ZoomProps {
  readonly range: TimeRange;
  readonly whole: TimeRange;
  readonly onZoom: (factor: number) => void;
  readonly onReset: () => void;
}

function ZoomButtons({ range, whole, onZoom, onReset }: ZoomProps) {
  const all = range.fromS <= whole.fromS && range.toS >= whole.toS;
  return (
    <div role="group" aria-label="Zoom" className="flex gap-2">
      <Button
        testId="zoom-in"
        onClick={() => {
          onZoom(ZOOM);
        }}
      >
        <span aria-hidden="true">+</span>
        <span className="sr-only">Zoom in</span>
      </Button>
      <Button
        testId="zoom-out"
        disabled={all}
        onClick={() => {
          onZoom(1 / ZOOM);
        }}
      >
        <span aria-hidden="true">−</span>
        <span className="sr-only">Zoom out</span>
      </Button>
      <Button testId="zoom-reset" disabled={all} onClick={onReset}>
        Show all
      </Button>
    </div>
  );
}

/** The values under the pointer: "0:12.4: face 1 0.93, face 2 no score". */
function readout({ atS, lines }: ReviewTimeline, index: number): string {
  const at = atS[index];
  if (at === undefined) return "";
  const faces = lines.flatMap(({ track, window, scores }) => {
    const value = scores[index] ?? window[index] ?? null;
    return value === null ? [] : [`face ${track} ${probability(value)}`];
  });
  return `${mediaTime(at, 1)}: ${faces.length === 0 ? "no score" : faces.join(", ")}`;
}

function spoken({ frames }: ModelReview, timeS: number): string {
  const scored =
    frameAt(frames, timeS)?.faces.flatMap(({ track, score }) => (score === null ? [] : [`face ${track} ${probability(score)}`])) ?? [];
  return `${mediaTime(timeS, 1)}, ${scored.length === 0 ? "no score" : scored.join(", ")}`;
}
