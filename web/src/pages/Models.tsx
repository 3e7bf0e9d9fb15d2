import { useCallback } from "react";
import { Failed, Loading } from "../components/ListState";
import { ModelComparison } from "../components/ModelComparison";
import { ModelPanel } from "../components/ModelPanel";
import { readModels, type ModelList } from "../modelCards";
import { useResource } from "../resource";
import type { Server } from "../stream/server";

interface Props {
  readonly server: Server;
}

/** The server's models, compared in a table, with the card of each below. */
export function Models({ server }: Props) {
  const [models, reload] = useResource(useCallback(() => server.models(readModels), [server]));
  return (
    <div className="space-y-4">
      <h1 className="text-xl font-semibold">Models</h1>
      {models.state === "loading" && <Loading>Loading the model cards …</Loading>}
      {models.state === "failed" && (
        <Failed what="The model cards could not be loaded." failure={models.failure} retrying={models.retrying} onRetry={reload} />
      )}
      {models.state === "ready" && models.value.models.length === 0 && (
        <p className="panel p-4">No model bundle was found. Put one into the folder named by the setting model.folder.</p>
      )}
      {models.state === "ready" && models.value.models.length > 0 && <Cards {...models.value} />}
    </div>
  );
}

/** The one in use comes first. */
function Cards({ judging, models }: ModelList) {
  const cards = models.toSorted((a, b) => Number(b.name === judging) - Number(a.name === judging));
  return (
    <>
      <ModelComparison cards={cards} judging={judging} />
      {cards.map((card) => (
        <ModelPanel key={card.name} card={card} judging={card.name === judging} />
      ))}
    </>
  );
}
