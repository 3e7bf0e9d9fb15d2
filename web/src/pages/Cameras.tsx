import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { shownCamera, titleOf, type ShownCamera } from "../cameraWords";
import { Button } from "../components/Button";
import { CameraDialog } from "../components/CameraDialog";
import { CameraTile } from "../components/CameraTile";
import { Limits } from "../components/Limits";
import { Empty, Failed, Loading } from "../components/ListState";
import { useMay } from "../roles";
import { useServices } from "../services";
import type { Camera } from "../stream/cameras";

/** Long enough that a pointer that only passes over a tile starts nothing. */
const LOOK_MS = 250;

const SHOWN = ["all", "fake", "uncertain", "away"] as const;
type Shown = (typeof SHOWN)[number];

const SHOWN_WORDS: Readonly<Record<Shown, string>> = { all: "All", fake: "Fake", uncertain: "Uncertain", away: "Not live" };

interface Props {
  readonly limits: readonly string[];
}

/** The camera wall. */
export function Cameras({ limits }: Props) {
  const { fleet } = useServices();
  const { feed, failure, cameras, atMs } = useSyncExternalStore(fleet.subscribe, fleet.snapshot);
  const [show, setShow] = useState<Shown>("all");
  const isAdmin = useMay("admin");
  const [adding, setAdding] = useState(false);
  const retry = useCallback(() => {
    fleet.retry();
  }, [fleet]);
  const wall = (cameras ?? []).map((seen) => ({ camera: seen.camera, shown: shownCamera(seen, feed, atMs) }));
  const counts = Object.fromEntries(SHOWN.map((which) => [which, wall.filter((tile) => belongs(tile, which)).length]));
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-3">
        <h1 className="text-xl font-semibold">Cameras</h1>
        {wall.length > 0 && <Choice show={show} counts={counts} onShow={setShow} />}
        {isAdmin && (
          <span className="ml-auto">
            <Button
              primary
              testId="add-camera"
              onClick={() => {
                setAdding(true);
              }}
            >
              Add a camera
            </Button>
          </span>
        )}
      </div>
      <p role="status" className={feed === "waiting" ? "text-sm font-semibold" : "sr-only"}>
        {feed === "waiting"
          ? `The server does not answer. ${cameras === null ? "This" : "What is shown is out of date; this"} page retries by itself.`
          : summary(counts)}
      </p>
      {cameras === null && failure === null && <Loading>Loading the cameras …</Loading>}
      {cameras === null && failure !== null && (
        <Failed what="The cameras could not be loaded." failure={failure} retrying={feed === "connecting"} onRetry={retry} />
      )}
      {cameras?.length === 0 && (
        <Empty>
          <p className="font-semibold">There are no cameras yet.</p>
          <p>
            {isAdmin
              ? "Add one by its address (RTSP, RTMP or HTTP), or list cameras in the settings file and reload it."
              : "An admin can add one."}
          </p>
        </Empty>
      )}
      {cameras !== null && cameras.length > 0 && <Wall tiles={wall.filter((tile) => belongs(tile, show))} />}
      {wall.length > 0 && <Limits limits={limits} />}
      {adding && (
        <CameraDialog
          camera={null}
          onClose={() => {
            setAdding(false);
          }}
        />
      )}
    </div>
  );
}

interface Tile {
  readonly camera: Camera;
  readonly shown: ShownCamera;
}

function Wall({ tiles }: { readonly tiles: readonly Tile[] }) {
  const { player } = useServices();
  const [looked, setLooked] = useState<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const look = useCallback((name: string, wanted: boolean) => {
    clearTimeout(timer.current);
    if (wanted) timer.current = setTimeout(setLooked, LOOK_MS, name);
    else setLooked((before) => (before === name ? null : before));
  }, []);
  const playing = tiles.find(({ camera }) => camera.name === looked && camera.state === "live")?.camera.name ?? null;
  useEffect(() => {
    if (playing === null) return undefined;
    player.play(playing);
    return () => {
      player.stop();
    };
  }, [player, playing]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
    },
    [],
  );
  if (tiles.length === 0) return <p className="text-muted">None at present.</p>;
  return (
    <ul aria-label="Cameras" className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,16rem),1fr))] gap-4">
      {tiles.map(({ camera, shown }) => (
        <StableTile key={camera.name} camera={camera} shown={shown} playing={playing === camera.name} onLook={look} />
      ))}
    </ul>
  );
}

interface StableTileProps extends Tile {
  readonly playing: boolean;
  readonly onLook: (name: string, wanted: boolean) => void;
}

/** Gives a tile the same `shown` until its content changes: most cameras report the same as a second ago. */
function StableTile({ camera, shown, playing, onLook }: StableTileProps) {
  const [kept, setKept] = useState(shown);
  const same = kept.state === shown.state && kept.word === shown.word && kept.reason === shown.reason && kept.fresh === shown.fresh;
  if (!same) setKept(shown);
  return (
    <CameraTile
      name={camera.name}
      title={titleOf(camera)}
      shown={same ? kept : shown}
      hasPicture={camera.width !== null}
      live={camera.state === "live"}
      playing={playing}
      onLook={onLook}
    />
  );
}

interface ChoiceProps {
  readonly show: Shown;
  readonly counts: Readonly<Record<string, number>>;
  readonly onShow: (show: Shown) => void;
}

/** Filter by state, with the number of cameras in each. */
function Choice({ show, counts, onShow }: ChoiceProps) {
  return (
    <div role="group" aria-label="Show" className="flex flex-wrap gap-1">
      {SHOWN.map((which) => (
        <button
          key={which}
          type="button"
          aria-pressed={which === show}
          onClick={() => {
            onShow(which);
          }}
          className="h-11 cursor-pointer rounded-lg px-3 text-muted aria-pressed:bg-surface aria-pressed:font-semibold aria-pressed:text-ink"
        >
          {SHOWN_WORDS[which]} {counts[which]}
        </button>
      ))}
    </div>
  );
}

function belongs({ camera, shown }: Tile, which: Shown): boolean {
  switch (which) {
    case "all":
      return true;
    case "fake":
    case "uncertain":
      return shown.state === which;
    case "away":
      return camera.state !== "live";
  }
}

/** Announced when it changes. */
function summary(counts: Readonly<Record<string, number>>): string {
  const { all = 0, fake = 0, away = 0 } = counts;
  return all === 0 ? "" : `${all} cameras, ${fake} with the verdict fake, ${away} not live`;
}
