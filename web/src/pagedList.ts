import { useCallback, useEffect, useRef, useState } from "react";
import { asFailure, type StreamFailure } from "./stream/failure";

/** The pages of a list that were read so far. */
export interface PagedList<Item> {
  /** null before the first page */
  readonly items: readonly Item[] | null;
  /** cursor of the next page; null on the last */
  readonly next: string | null;
  readonly failure: StreamFailure | null;
  readonly reading: boolean;
}

type Change<Item> = (items: readonly Item[]) => readonly Item[];

interface ReadList<Item> extends PagedList<Item> {
  /** Requested while the first page was being read, which may be older than they are. */
  readonly changes: readonly Change<Item>[];
}

/**
 * Reads a list page by page. The `page` function of the first call is used; another one needs another `key`.
 *
 * `readOn` reads the next page, or repeats a failed one; `change` changes the items that were read, or the first to be read.
 */
export function usePagedList<Item>(page: (cursor: string | null) => Promise<{ items: readonly Item[]; next: string | null }>) {
  const [list, setList] = useState<ReadList<Item>>({ items: null, next: null, failure: null, reading: true, changes: [] });
  const [read] = useState(() => page);
  const cursor = useRef<string | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let wanted = true;
    read(cursor.current).then(
      ({ items, next }) => {
        if (!wanted) return;
        cursor.current = next;
        setList((before) => {
          const all: readonly Item[] = [...(before.items ?? []), ...items];
          const changed = before.changes.reduce((changing, update) => update(changing), all);
          return { items: changed, next, failure: null, reading: false, changes: [] };
        });
      },
      (error: unknown) => {
        if (wanted) setList((before) => ({ ...before, failure: asFailure(error), reading: false, changes: [] }));
      },
    );
    return () => {
      wanted = false;
    };
  }, [read, round]);
  const readOn = useCallback(() => {
    setList((before) => ({ ...before, reading: true }));
    setRound((before) => before + 1);
  }, []);
  const change = useCallback((update: Change<Item>) => {
    setList((before) => {
      if (before.items !== null) return { ...before, items: update(before.items) };
      return before.reading ? { ...before, changes: [...before.changes, update] } : before;
    });
  }, []);
  return { list, readOn, change };
}
