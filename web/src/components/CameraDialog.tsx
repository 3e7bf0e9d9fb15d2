import { useEffect, useRef, useState, type InputEvent, type SubmitEvent } from "react";
import { titleOf } from "../cameraWords";
import { openInstead } from "../route";
import { useServices } from "../services";
import { TRANSPORTS, type Camera, type CameraForm, type TestedConnection } from "../stream/cameras";
import { asFailure } from "../stream/failure";
import { asSentence } from "../words";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { Field, INPUT, Tick } from "./Field";

interface Props {
  /** null: a new camera */
  readonly camera: Camera | null;
  readonly onClose: () => void;
}

/** Fields that the connection test depends on. */
const TESTED: ReadonlySet<string> = new Set(["url", "transport"]);

type Testing = { readonly state: "no" | "running" } | { readonly state: "done"; readonly tested: TestedConnection };

/** Adds or changes a camera; the connection can be tested before anything is saved. */
export function CameraDialog({ camera, onClose }: Props) {
  const { cameras, fleet } = useServices();
  const form = useRef<HTMLFormElement>(null);
  const [testing, setTesting] = useState<Testing>({ state: "no" });
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState("");
  const run = useRef<AbortController | null>(null);
  useEffect(() => () => run.current?.abort(), []);

  const test = async (): Promise<void> => {
    if (form.current === null) return;
    run.current?.abort();
    const { signal } = (run.current = new AbortController());
    setTesting({ state: "running" });
    setProblem("");
    try {
      const tested = await cameras.testConnection(readForm(form.current, camera), signal);
      if (!signal.aborted) setTesting({ state: "done", tested });
    } catch (error) {
      if (signal.aborted) return;
      setTesting({ state: "no" });
      setProblem(asSentence(asFailure(error).detail));
    }
  };
  /** Clears the result of another URL, and cancels its test. */
  const forget = ({ target }: InputEvent<HTMLFormElement>): void => {
    if (!(target instanceof Element) || !TESTED.has(target.getAttribute("name") ?? "")) return;
    run.current?.abort();
    setTesting({ state: "no" });
  };
  const save = async (event: SubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const filled = readForm(event.currentTarget, camera);
    setSaving(true);
    setProblem("");
    try {
      fleet.put(camera === null ? await cameras.add(filled) : await cameras.change(filled));
      onClose();
      if (camera === null) openInstead({ page: "cameras" }, { page: "camera", name: filled.name });
    } catch (error) {
      setProblem(asSentence(asFailure(error).detail));
      setSaving(false);
    }
  };
  return (
    <Dialog
      title={camera === null ? "Add a camera" : `Settings of ${titleOf(camera)}`}
      onClose={onClose}
      testId="camera-dialog"
      busy={saving}
    >
      <form ref={form} onInput={forget} onSubmit={(event) => void save(event)} className="space-y-4">
        <Fields camera={camera} />
        <Outcome testing={testing} />
        <p role="alert" className="font-semibold empty:hidden">
          {problem}
        </p>
        <div className="flex flex-wrap gap-2">
          <Button primary submit disabled={saving} testId="save-camera">
            {saving ? "Saving …" : camera === null ? "Add" : "Save"}
          </Button>
          <Button
            testId="test-connection"
            disabled={testing.state === "running"}
            onClick={() => {
              const url = form.current?.elements.namedItem("url");
              if (url instanceof HTMLInputElement && url.reportValidity()) void test();
            }}
          >
            {testing.state === "running" ? "Testing …" : "Test connection"}
          </Button>
          <Button disabled={saving} onClick={onClose}>
            Cancel
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function Fields({ camera }: { readonly camera: Camera | null }) {
  const settings = camera?.settings;
  return (
    <>
      <Field
        label="Address"
        hint={
          camera === null
            ? "rtsp, rtsps, rtmp, http, https, or whip: for a camera that publishes to this server"
            : "Leave empty to keep the current address."
        }
      >
        <input
          name="url"
          required={camera === null}
          autoComplete="off"
          spellCheck={false}
          placeholder={settings?.url ?? "rtsp://user:password@10.0.0.5/stream"}
          className={INPUT}
        />
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Name" hint="Used in URLs: lower-case letters, digits, - and _">
          <input
            name="name"
            required
            readOnly={camera !== null}
            defaultValue={camera?.name ?? ""}
            pattern="[a-z0-9][a-z0-9_\-]{0,39}"
            title="lower-case letters, digits, - and _, at most 40"
            autoComplete="off"
            className={`${INPUT} read-only:text-muted`}
          />
        </Field>
        <Field label="Title" hint="Optional; shown in the camera list">
          <input
            name="title"
            maxLength={80}
            // Without a title, the server sends the name.
            defaultValue={camera === null || camera.title === camera.name ? "" : camera.title}
            autoComplete="off"
            className={INPUT}
          />
        </Field>
        <Field label="Transport" hint="For RTSP media">
          <select name="transport" defaultValue={settings?.transport ?? "tcp"} className={INPUT}>
            {TRANSPORTS.map((transport) => (
              <option key={transport} value={transport}>
                {transport.toUpperCase()}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Checks per second" hint="More checks find a face sooner and cost more CPU time">
          <input
            name="rate_hz"
            type="number"
            required
            min={0.1}
            max={30}
            step="any"
            defaultValue={settings?.rateHz ?? 5}
            className={INPUT}
          />
        </Field>
      </div>
      <Tick name="evidence" label="Keep evidence" checked={settings?.evidence ?? false}>
        A picture, the face and a clip of each fake event. Otherwise no pictures are kept.
      </Tick>
      <Tick
        name="keyframes_only_when_idle"
        label="Decode only key frames while no face is visible"
        checked={settings?.keyframesOnlyWhenIdle ?? false}
      >
        Saves CPU time. All frames are decoded while somebody watches the camera.
      </Tick>
    </>
  );
}

function Outcome({ testing }: { readonly testing: Testing }) {
  return (
    <div role="status" data-testid="tested" data-state={testing.state === "done" ? String(testing.tested.ok) : testing.state}>
      {testing.state === "running" && <p className="text-sm text-muted">Waiting for a frame (up to 10 s) …</p>}
      {testing.state === "done" && <Tested tested={testing.tested} />}
    </div>
  );
}

function Tested({ tested }: { readonly tested: TestedConnection }) {
  const { ok, detail, codec, width, height, fps, picture } = tested;
  const figures = [codec, width !== null && height !== null && `${width} × ${height}`, fps !== null && `${fps.toFixed(0)} fps`];
  return (
    <div className="space-y-2 rounded-lg border border-edge p-3">
      <p>
        <span className="font-semibold">{ok ? "The camera works." : "No frame arrived."}</span> {asSentence(detail)}
      </p>
      {ok && <p className="text-sm text-muted">{figures.filter(Boolean).join(" · ")}</p>}
      {picture !== null && <img src={picture} alt="What the camera sees now" className="max-h-56 rounded bg-stage object-contain" />}
    </div>
  );
}

function readForm(element: HTMLFormElement, camera: Camera | null): CameraForm {
  const data = new FormData(element);
  const text = (name: string): string => {
    const value = data.get(name);
    return typeof value === "string" ? value.trim() : "";
  };
  return {
    name: camera?.name ?? text("name"),
    title: text("title"),
    enabled: camera?.enabled ?? true,
    url: text("url") === "" ? null : text("url"),
    transport: TRANSPORTS.find((transport) => transport === text("transport")) ?? "tcp",
    loop: camera?.settings.loop ?? false,
    rateHz: Number(text("rate_hz")),
    keyframesOnlyWhenIdle: data.has("keyframes_only_when_idle"),
    evidence: data.has("evidence"),
    node: camera?.settings.node ?? "",
  };
}
