import { Button } from "../components/Button";
import { CheckRow } from "../components/CheckRow";
import { Empty, Failed, Loading } from "../components/ListState";
import { usePagedList } from "../pagedList";
import { hrefOf } from "../route";
import { useServices } from "../services";

/** Live checks and challenges that have ended, newest first. */
export function Checks() {
  const { server } = useServices();
  const { list, readOn, change } = usePagedList((cursor) => server.checks(cursor));
  const remove = async (id: string): Promise<void> => {
    await server.deleteCheck(id);
    change((items) => items.filter((one) => one.id !== id));
  };
  const { items, next, failure, reading } = list;
  return (
    <div className="mx-auto max-w-4xl space-y-4">
      <h1 className="text-xl font-semibold">Earlier checks</h1>
      <p className="text-sm text-muted">
        Live checks and challenges that have ended: who started them, and what they showed. No pictures and no faces are kept.
      </p>
      {items === null && failure === null && <Loading>Loading the checks …</Loading>}
      {items?.length === 0 && (
        <Empty>
          <p className="font-semibold">There are no records yet.</p>
          <p>
            A record is written when a <a href={hrefOf({ page: "live" })}>live check</a> ends, or a challenge in front of a camera.
          </p>
        </Empty>
      )}
      {items !== null && items.length > 0 && (
        <ul aria-label="Earlier checks" className="space-y-2">
          {items.map((check) => (
            <CheckRow key={check.id} check={check} onDelete={() => remove(check.id)} />
          ))}
        </ul>
      )}
      {failure !== null && <Failed what="The checks could not be loaded." failure={failure} retrying={reading} onRetry={readOn} />}
      {failure === null && next !== null && (
        <Button testId="older" disabled={reading} onClick={readOn}>
          {reading ? "Loading …" : "Older checks"}
        </Button>
      )}
    </div>
  );
}
