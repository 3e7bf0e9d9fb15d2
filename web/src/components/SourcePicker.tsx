import type { Camera, SourceChoice } from "../stream/source";

interface Props {
  readonly choice: SourceChoice;
  readonly cameras: readonly Camera[];
  /** Whether this browser can share a window or a screen. */
  readonly canShare: boolean;
  readonly onChoose: (choice: SourceChoice) => void;
}

const SCREEN = "screen";
const CAMERA = "camera:";

export function SourcePicker({ choice, cameras, canShare, onChoose }: Props) {
  return (
    <label className="flex min-w-0 flex-1 items-center gap-2">
      <span className="sr-only text-sm text-muted sm:not-sr-only">Source</span>
      <select
        data-testid="source"
        value={valueOf(choice)}
        onChange={(event) => {
          onChoose(choiceOf(event.target.value));
        }}
        className="h-11 min-w-0 flex-1 cursor-pointer truncate rounded-lg border border-edge bg-surface px-3"
      >
        <option value={CAMERA}>Default camera</option>
        {cameras.map((camera) => (
          <option key={camera.deviceId} value={CAMERA + camera.deviceId}>
            {camera.label}
          </option>
        ))}
        {canShare && <option value={SCREEN}>A shared window, tab or screen (someone in a call)</option>}
      </select>
    </label>
  );
}

export function valueOf(choice: SourceChoice): string {
  return choice.kind === "screen" ? SCREEN : CAMERA + (choice.deviceId ?? "");
}

export function choiceOf(value: string): SourceChoice {
  if (value === SCREEN) return { kind: "screen" };
  return { kind: "camera", deviceId: value.slice(CAMERA.length) || null };
}
