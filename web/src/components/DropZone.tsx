import { useEffect, useRef, useState } from "react";
import { Button } from "./Button";

interface Props {
  /** Why nothing can be taken now; empty when it can. */
  readonly problem: string;
  readonly onFiles: (files: readonly File[]) => void;
}

/** Takes files: by a button, or dropped anywhere on the page. */
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
          event.target.value = ""; // the same file can be chosen again
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

/** Files dropped on the page. @returns whether some are over it now */
function useDropped(onFiles: ((files: readonly File[]) => void) | null): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let inside = 0; // the pointer enters each element that it passes before it leaves the one before
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
      // Else the browser would open the file in place of the page.
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
