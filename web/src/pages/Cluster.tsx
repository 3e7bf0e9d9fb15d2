import { useCallback, useEffect } from "react";
import { Empty, Failed, Loading } from "../components/ListState";
import { ServerPlaces } from "../components/ServerPlaces";
import { figure } from "../figures";
import { useResource } from "../resource";
import { hrefOf } from "../route";
import { useServices } from "../services";
import type { ClusterNode, Cluster as Seen } from "../stream/server";
import { moment } from "../times";

const REFRESH_MS = 5_000;

const STATES: Readonly<Record<ClusterNode["state"], string>> = {
  ready: "Ready",
  starting: "Starting",
  drained: "Drained: no cameras are assigned to it",
  refused: "Refused",
  lost: "Lost: it does not respond",
};

/** The nodes of the cluster with their cameras and load, and moves of cameras with their reasons. */
export function Cluster() {
  const { server } = useServices();
  const [cluster, reload] = useResource(useCallback(() => server.cluster(), [server]));
  useEffect(() => {
    const timer = setInterval(reload, REFRESH_MS);
    return () => {
      clearInterval(timer);
    };
  }, [reload]);
  return (
    <div className="mx-auto max-w-4xl space-y-4">
      <ServerPlaces page="cluster" />
      <h1 className="text-xl font-semibold">Cluster</h1>
      {cluster.state === "loading" && <Loading>Loading the nodes …</Loading>}
      {cluster.state === "failed" && (
        <Failed what="The nodes could not be loaded." failure={cluster.failure} retrying={cluster.retrying} onRetry={reload} />
      )}
      {cluster.state === "ready" && cluster.value.nodes.length === 0 && (
        <Empty>
          <p className="font-semibold">One process watches all cameras.</p>
          <p>If that is not enough, start the server with workers: stream-detect serve --workers 2 (docs/cluster.md).</p>
        </Empty>
      )}
      {cluster.state === "ready" && cluster.value.nodes.length > 0 && <Nodes {...cluster.value} />}
    </div>
  );
}

function Nodes({ nodes, moves }: Seen) {
  return (
    <>
      <ul aria-label="Nodes" className="space-y-2">
        {nodes.map((node) => (
          <li key={node.id} data-testid="node" data-state={node.state} className="panel space-y-1 p-4">
            <p className="flex flex-wrap items-baseline justify-between gap-x-4">
              <span className="font-semibold">{node.id}</span>
              <span className="text-sm">{STATES[node.state]}</span>
            </p>
            <p className="text-sm text-muted">
              {[
                node.address,
                `${node.workers} ${node.workers === 1 ? "worker" : "workers"}`,
                `load ${figure(node.load, "", 2)}`,
                `${figure(node.cores, "", 1)} cores busy`,
                figure(node.memoryBytes / 1e6, "MB"),
                ...(node.analyses === 0 ? [] : [`${node.analyses} ${node.analyses === 1 ? "analysis" : "analyses"}`]),
                ...(node.liveChecks === 0 ? [] : [`${node.liveChecks} ${node.liveChecks === 1 ? "live check" : "live checks"}`]),
              ].join(" · ")}
            </p>
            {node.problem !== "" && <p className="text-sm font-semibold">{node.problem}</p>}
            <p className="text-sm">
              {node.cameras.length === 0 && "No cameras."}
              {node.cameras.map((name) => (
                <a key={name} href={hrefOf({ page: "camera", name })} className="mr-3 underline">
                  {name}
                </a>
              ))}
            </p>
          </li>
        ))}
      </ul>
      <section aria-labelledby="moves-title" className="panel p-4">
        <h2 id="moves-title" className="font-semibold">
          Moved cameras
        </h2>
        {moves.length === 0 && <p className="mt-2 text-sm text-muted">No camera has moved.</p>}
        <ul className="mt-2 space-y-1 text-sm">
          {moves.map((move, index) => (
            <li key={index} data-testid="move" className="border-t border-edge pt-1">
              <span className="text-muted">{moment(move.at)}</span> <span className="font-semibold">{move.camera}</span>
              {move.from !== "" && ` from ${move.from}`}
              {move.to !== "" && ` to ${move.to}`}: {move.why}
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}
