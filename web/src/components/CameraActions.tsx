import { useEffect, useRef, useState } from "react";
import { titleOf } from "../cameraWords";
import { useMay } from "../roles";
import { openInstead } from "../route";
import { useServices } from "../services";
import type { Camera } from "../stream/cameras";
import { asFailure } from "../stream/failure";
import { asSentence } from "../words";
import { Button } from "./Button";
import { CameraDialog } from "./CameraDialog";
import { ConfirmDialog } from "./ConfirmDialog";

/** Buttons to start, stop, change and remove a camera. A camera of the settings file can only be changed there. */
export function CameraActions({ camera }: { readonly camera: Camera }) {
  const isAdmin = useMay("admin");
  const { cameras, fleet, player } = useServices();
  const [open, setOpen] = useState<"none" | "edit" | "remove">("none");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const stopped = camera.state === "stopped";
  const here = useRef(true);
  useEffect(() => {
    here.current = true;
    return () => {
      here.current = false;
    };
  }, []);
  const close = (): void => {
    setOpen("none");
  };
  /** Ends the picture before the server does, which would look like a loss; it goes on if the server refuses. */
  const unplayed = async <T,>(ask: () => Promise<T>): Promise<T> => {
    await player.end();
    try {
      return await ask();
    } catch (error) {
      if (!stopped && here.current) player.play(camera.name); // not after the user has left the page
      throw error;
    }
  };
  const turn = async (): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      fleet.put(await unplayed(() => (stopped ? cameras.start(camera.name) : cameras.stop(camera.name))));
    } catch (error) {
      setProblem(asSentence(asFailure(error).detail));
    } finally {
      setBusy(false);
    }
  };
  const remove = async (): Promise<void> => {
    await unplayed(() => cameras.remove(camera.name));
    fleet.drop(camera.name);
    openInstead({ page: "camera", name: camera.name }, { page: "cameras" });
  };
  if (!isAdmin) return null;
  return (
    <div className="mt-4 space-y-2">
      <div className="flex flex-wrap gap-2">
        <Button primary testId="turn-camera" disabled={busy} onClick={() => void turn()}>
          {stopped ? "Start" : "Stop"}
        </Button>
        {camera.origin === "api" && (
          <>
            <Button
              testId="edit-camera"
              onClick={() => {
                setOpen("edit");
              }}
            >
              Change settings
            </Button>
            <Button
              testId="remove-camera"
              onClick={() => {
                setOpen("remove");
              }}
            >
              Remove
            </Button>
          </>
        )}
      </div>
      {camera.origin === "file" && (
        <p className="text-sm text-muted">This camera is defined in the server&apos;s settings file; change or remove it there.</p>
      )}
      <p role="alert" className="font-semibold empty:hidden">
        {problem}
      </p>
      {open === "edit" && <CameraDialog camera={camera} onClose={close} />}
      {open === "remove" && (
        <ConfirmDialog title={`Remove ${titleOf(camera)}?`} action="Remove" onConfirm={remove} onClose={close}>
          It will no longer be watched. Its events and their evidence are kept.
        </ConfirmDialog>
      )}
    </div>
  );
}
