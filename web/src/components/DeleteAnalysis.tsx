import { useState } from "react";
import { useMay } from "../roles";
import { useServices } from "../services";
import type { Analysis } from "../stream/analyses";
import { Button } from "./Button";
import { ConfirmDialog } from "./ConfirmDialog";

interface Props {
  readonly analysis: Analysis;
  readonly onGone: (analysis: Analysis) => void;
}

/** Deletes an analysis, after a confirmation. */
export function DeleteAnalysis({ analysis, onGone }: Props) {
  const { id, file } = analysis;
  const { analyses } = useServices();
  const isAdmin = useMay("admin");
  const [asked, setAsked] = useState(false);
  const remove = async (): Promise<void> => {
    await analyses.remove(id);
    onGone(analysis);
  };
  if (!isAdmin) return null;
  return (
    <>
      <Button
        testId="delete-analysis"
        onClick={() => {
          setAsked(true);
        }}
      >
        Delete
        <span className="sr-only"> {file.name}</span>
      </Button>
      {asked && (
        <ConfirmDialog
          title="Delete this analysis?"
          action="Delete"
          onConfirm={remove}
          onClose={() => {
            setAsked(false);
          }}
        >
          The file {file.name} on this server, its results, pictures and annotated videos will be deleted.
        </ConfirmDialog>
      )}
    </>
  );
}
