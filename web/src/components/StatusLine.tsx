import { figure, NONE } from "../figures";
import type { Resource } from "../resource";
import type { StreamSnapshot } from "../stream/checkStream";
import type { StreamFailure } from "../stream/failure";
import type { Status } from "../stream/server";
import { asSentence } from "../words";

interface Props {
  readonly status: Resource<Status>;
  readonly snapshot: StreamSnapshot;
  /** Whether to show the delays of a live check. */
  readonly delays: boolean;
  readonly onRetry: () => void;
}

/** The server, the model in use, and the delays. */
export function StatusLine({ status, snapshot, delays, onRetry }: Props) {
  if (status.state === "failed") {
    return (
      <p className="flex flex-wrap items-center gap-2 text-xs text-muted">
        {trouble(status.failure)}
        <button type="button" onClick={onRetry} className="cursor-pointer underline">
          {status.retrying ? "Trying …" : "Try again"}
        </button>
      </p>
    );
  }
  const known = status.state === "ready" ? status.value : null;
  const model = snapshot.hello?.model.title ?? known?.model.title ?? NONE;
  return (
    <dl className="flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted">
      <Entry term="Server" value={known === null ? NONE : `version ${known.version}`} />
      <Entry term="Analysed by" value={model} />
      {delays && (
        <>
          <Entry term="Round trip" value={figure(snapshot.roundTripMs, "ms")} width="min-w-12" />
          <Entry term="Analysis" value={figure(snapshot.result?.latencyMs, "ms")} width="min-w-12" />
        </>
      )}
    </dl>
  );
}

function trouble({ code, detail }: StreamFailure): string {
  if (code === "token") return "The server requires an access token.";
  if (code === "connection-lost") return asSentence(detail);
  return `The server's status could not be read. ${asSentence(detail)}`;
}

function Entry({ term, value, width = "" }: { readonly term: string; readonly value: string; readonly width?: string }) {
  return (
    <div className="flex gap-2">
      <dt className="whitespace-nowrap">{term}</dt>
      <dd className={`text-ink ${width}`}>{value}</dd>
    </div>
  );
}
