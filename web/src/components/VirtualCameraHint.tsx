interface Props {
  /** The camera's name. */
  readonly label: string;
  /** The virtual camera program that the server derives from the name; null if there is none. */
  readonly program: string | null;
}

/** Says that the camera's name suggests a virtual camera. It does not affect the verdict. */
export function VirtualCameraHint({ label, program }: Props) {
  if (program === null) return null;
  return (
    <p role="status" data-testid="virtual-camera" className="panel mt-3 p-3 text-sm">
      <span className="font-semibold">Virtual camera:</span> by its name, “{label}” is {program === "a virtual camera" ? "one" : program}.
      Software makes its picture. Many people use virtual cameras for harmless reasons, but face swaps need one, too. The name is only a
      hint: it does not affect the verdict, and a face swap can use any other name.
    </p>
  );
}
