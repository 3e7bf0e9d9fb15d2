import { useEffect, useRef, useState } from "react";
import { Button } from "./Button";

interface Props {
  /** Why no files are accepted at present; empty if they are. */
  readonly problem: string;
  readonly onFiles: (files: readonly File[]) => void;
}

/** Accepts files, chosen by a button or dropped anywhere on the page. */
export function DropZone({ problem, onFiles }: Props) {
  const input = useRef<HTMLInputElement>(null);
  const over = useDropped(problem === "" ? onFiles : null);
  return (
    <div
      data-testid="drop-zone"
      data-over={over}
      className="flex flex-col items-center gap-3 rounded-lg border-2 border-dashed border-edge bg-surface p-6 text-center data-[over=true]:border-ink md:p-8"
    >
      <p className="text-lg font-semibold">{over ? "Drop to analyse" : "Drop videos or pictures here"}</p>
      <Button
        primary
        testId="choose-files"
        disabled={problem !== ""}
        onClick={() => {
          input.current?.click();
        }}
      >
        Choose files
      </Button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        data-testid="file-input"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = ""; // allows the same file to be chosen again
        }}
      />
      <p className="max-w-prose text-sm text-muted">
        {problem === ""
          ? "Files are sent to this server, analysed there, and kept until you delete them or their retention period ends."
          : problem}
      </p>
    </div>
  );
}

/** Accepts files dropped on the page. @returns whether files are being dragged over it */
function useDropped(onFiles: ((files: readonly File[]) => void) | null): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let inside = 0; // dragenter of an element fires before dragleave of the previous one
    const carries = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent): void => {
      if (!carries(event)) return;
      inside += 1;
      setOver(onFiles !== null);
    };
    const leave = (event: DragEvent): void => {
      if (!carries(event)) return;
      inside = Math.max(0, inside - 1);
      if (inside === 0) setOver(false);
    };
    const allow = (event: DragEvent): void => {
      // Otherwise the browser would open the file instead of the page.
      if (carries(event)) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      if (!carries(event)) return;
      event.preventDefault();
      inside = 0;
      setOver(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length > 0) onFiles?.(files);
    };
    const events = [
      ["dragenter", enter],
      ["dragleave", leave],
      ["dragover", allow],
      ["drop", drop],
    ] as const;
    for (const [event, listener] of events) window.addEventListener(event, listener);
    return () => {
      for (const [event, listener] of events) window.removeEventListener(event, listener);
    };
  }, [onFiles]);
  return over;
}
