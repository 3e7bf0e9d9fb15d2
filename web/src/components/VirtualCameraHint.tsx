interface Props {
  /** The camera's name. */
  readonly label: string;
  /** The program that makes its picture, as the server tells by that name; null where it names none. */
  readonly program: string | null;
}

/** Says that software makes the picture, where the camera's name tells so. The verdict does not know of it. */
export function VirtualCameraHint({ label, program }: Props) {
  if (program === null) return null;
  return (
    <p role="status" data-testid="virtual-camera" className="panel mt-3 p-3 text-sm">
      <span className="font-semibold">Virtual camera:</span> by its name, “{label}” is {program === "a virtual camera" ? "one" : program}.
      Software makes its picture, which many use for harmless reasons and face swaps need too. The name is a hint: it is no part of the
      verdict, and a swap may come under any other name.
    </p>
  );
}
