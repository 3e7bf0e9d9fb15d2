import { useState, type ReactNode } from "react";
import { useServices } from "../services";
import { asFailure } from "../stream/failure";
import { asSentence } from "../words";

interface Props {
  readonly path: string;
  /** Name of the saved file. */
  readonly name: string;
  readonly testId: string;
  readonly children: ReactNode;
}

/** A download link. A link cannot send an access token: if one is required, the file is read first. */
export function SaveLink({ path, name, testId, children }: Props) {
  const { analyses } = useServices();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const save = async (): Promise<void> => {
    setBusy(true);
    setProblem("");
    try {
      keep(await analyses.file(path), name);
    } catch (error) {
      setProblem(asSentence(asFailure(error).detail));
    }
    setBusy(false);
  };
  return (
    <span>
      <a
        href={analyses.address(path)}
        download={name}
        data-testid={testId}
        onClick={(event) => {
          if (analyses.open) return;
          event.preventDefault();
          if (!busy) void save();
        }}
        className="inline-flex h-11 items-center rounded-lg border border-edge bg-surface px-4 hover:border-ink"
      >
        {busy ? "Loading …" : children}
      </a>
      <span role="alert" className="block text-sm font-semibold empty:hidden">
        {problem}
      </span>
    </span>
  );
}

function keep(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // By then, the browser holds its own reference to the file.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 60_000);
}
