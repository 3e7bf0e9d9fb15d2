import { useState, type ReactNode } from "react";
import { useServices } from "../services";
import { asFailure } from "../stream/failure";
import { asSentence } from "../words";

interface Props {
  readonly path: string;
  /** What the file is to be called. */
  readonly name: string;
  readonly testId: string;
  readonly children: ReactNode;
}

/** A file of the server to keep. A link can send no access token: where one is wanted, the file is read first. */
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
        href={path}
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
  // The browser has its own hold on the file by then.
  setTimeout(() => {
    URL.revokeObjectURL(link.href);
  }, 60_000);
}
