import { useEffect, useRef, useState } from "react";
import { Button } from "../components/Button";
import { CheckRow } from "../components/CheckRow";
import { Empty, Failed, Loading } from "../components/ListState";
import { hrefOf } from "../route";
import { useServices } from "../services";
import type { CheckRecord } from "../stream/checks";
import { asFailure, type StreamFailure } from "../stream/failure";

interface List {
  /** null before the first page */
  readonly items: readonly CheckRecord[] | null;
  readonly next: string | null;
  readonly failure: StreamFailure | null;
  readonly reading: boolean;
}

/** Live checks and challenges that have ended, newest first. */
export function Checks() {
  const { server } = useServices();
  const [list, setList] = useState<List>({ items: null, next: null, failure: null, reading: true });
  const read = (cursor: string | null, wanted: () => boolean): void => {
    server.checks(cursor).then(
      ({ items, next }) => {
        if (wanted()) setList((known) => ({ items: [...(known.items ?? []), ...items], next, failure: null, reading: false }));
      },
      (error: unknown) => {
        if (wanted()) setList((known) => ({ ...known, failure: asFailure(error), reading: false }));
      },
    );
  };
  const first = useRef(read);
  useEffect(() => {
    let wanted = true;
    first.current(null, () => wanted);
    return () => {
      wanted = false;
    };
  }, []);
  const readOn = (): void => {
    setList((known) => ({ ...known, reading: true }));
    read(list.next, () => true);
  };
  const remove = async (id: string): Promise<void> => {
    await server.deleteCheck(id);
    setList((known) => ({ ...known, items: known.items?.filter((one) => one.id !== id) ?? null }));
  };
  const { items, next, failure, reading } = list;
  return (
    <div className="mx-auto max-w-4xl space-y-4">
      <h1 className="text-xl font-semibold">Earlier checks</h1>
      <p className="text-sm text-muted">
        Live checks and challenges that have ended: who began them and what came out. No picture and no face of them is kept.
      </p>
      {items === null && failure === null && <Loading>Loading the checks …</Loading>}
      {items?.length === 0 && (
        <Empty>
          <p className="font-semibold">There is no record yet.</p>
          <p>
            One is written when a <a href={hrefOf({ page: "live" })}>live check</a> ends, or a challenge before a camera.
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
