import { useCallback } from "react";
import { Failed, Loading } from "../components/ListState";
import { ModelPanel } from "../components/ModelPanel";
import { readModels } from "../modelCards";
import { useResource } from "../resource";
import type { Server } from "../stream/server";

interface Props {
  readonly server: Server;
}

/** The cards of all models that the server has; the one that judges comes first. */
export function Models({ server }: Props) {
  const [models, reload] = useResource(useCallback(() => server.models(readModels), [server]));
  return (
    <div className="mx-auto max-w-3xl space-y-4">
      <h1 className="text-xl font-semibold">Models</h1>
      {models.state === "loading" && <Loading>Loading the model cards …</Loading>}
      {models.state === "failed" && (
        <Failed what="The model cards could not be loaded." failure={models.failure} retrying={models.retrying} onRetry={reload} />
      )}
      {models.state === "ready" && models.value.models.length === 0 && (
        <p className="panel p-4">
          No model bundle was found. Put one into the folder that the setting models.folder names, and start the server again.
        </p>
      )}
      {models.state === "ready" &&
        models.value.models
          .toSorted((a, b) => Number(b.name === models.value.judging) - Number(a.name === models.value.judging))
          .map((card) => <ModelPanel key={card.name} card={card} judging={card.name === models.value.judging} />)}
    </div>
  );
}
