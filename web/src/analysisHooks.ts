/** React hooks for analyses: the paged list, the progress of one analysis, its media and its annotated video. */

import { useCallback, useEffect, useRef, useState } from "react";
import { useServices } from "./services";
import { followed, hasEnded, NOT_ANNOTATED, withAnalysis, type Analysis, type AnalysisFilter, type Annotated } from "./stream/analyses";
import { asFailure, type StreamFailure } from "./stream/failure";

/** A browser opens six connections to a server, and pictures need some of them. */
const FOLLOWED = 2;
/** Polling period of analyses without a feed of their own, while any is in progress. */
const REREAD_MS = 10_000;
const ANNOTATED_MS = 1_000;
/** A larger file is read into the browser's memory only when the user asks for it. */
const MOST_UNASKED_BYTES = 300_000_000;

export interface AnalysisList {
  /** null before the first page */
  readonly items: readonly Analysis[] | null;
  readonly next: string | null;
  readonly failure: StreamFailure | null;
  readonly reading: boolean;
}

const BEGINNING: AnalysisList = { items: null, next: null, failure: null, reading: true };

/** The pages read so far, kept up to date. The filter of the first call is used; another filter needs another `key`. */
export function useAnalyses(filter: AnalysisFilter) {
  const { analyses, uploads, progressOf } = useServices();
  const [list, setList] = useState(BEGINNING);
  const [kept] = useState(filter);
  const change = useCallback((update: (items: readonly Analysis[]) => readonly Analysis[]) => {
    setList((before) => (before.items === null ? before : { ...before, items: update(before.items) }));
  }, []);
  // A response that was requested before a deletion still contains the deleted analysis.
  const dropped = useRef(new Set<string>());
  const put = useCallback(
    (analysis: Analysis) => {
      if (!dropped.current.has(analysis.id)) change((items) => withAnalysis(items, analysis, kept));
    },
    [change, kept],
  );
  const drop = useCallback(
    (id: string) => {
      dropped.current.add(id);
      change((items) => items.filter((analysis) => analysis.id !== id));
    },
    [change],
  );

  const cursor = useRef<string | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let wanted = true;
    analyses.page(kept, cursor.current).then(
      (page) => {
        if (!wanted) return;
        cursor.current = page.next;
        setList(({ items }) => {
          const fresh = page.items.filter(({ id }) => !dropped.current.has(id) && !items?.some((analysis) => analysis.id === id));
          return { items: [...(items ?? []), ...fresh], next: page.next, failure: null, reading: false };
        });
      },
      (error: unknown) => {
        if (wanted) setList((before) => ({ ...before, failure: asFailure(error), reading: false }));
      },
    );
    return () => {
      wanted = false;
    };
  }, [analyses, kept, round]);
  const readOn = useCallback(() => {
    setList((before) => ({ ...before, reading: true }));
    setRound((before) => before + 1);
  }, []);

  useEffect(() => uploads.onAnalysis(put), [uploads, put]);
  const key = followed(list.items ?? [], FOLLOWED).join(" ");
  useEffect(() => {
    const feeds = key.split(" ").flatMap((id) => {
      if (id === "") return [];
      const onRefused = ({ code }: StreamFailure): void => {
        if (code === "not-found") drop(id);
      };
      return [progressOf(id, { onAnalysis: put, onRefused })];
    });
    for (const feed of feeds) feed.open();
    return () => {
      for (const feed of feeds) feed.close();
    };
  }, [key, progressOf, put, drop]);

  const onTheirWay = list.items?.some((analysis) => !hasEnded(analysis)) ?? false;
  useEffect(() => {
    if (!onTheirWay) return undefined;
    const timer = setInterval(() => {
      // After a failure, the request is repeated after a pause.
      analyses.page(kept).then(
        (page) => {
          page.items.forEach(put);
        },
        () => undefined,
      );
    }, REREAD_MS);
    return () => {
      clearInterval(timer);
    };
  }, [analyses, kept, onTheirWay, put]);
  return { list, readOn, put, drop };
}

export interface FollowedAnalysis {
  /** null before the first answer */
  readonly analysis: Analysis | null;
  readonly failure: StreamFailure | null;
}

/** One analysis, followed until it ends. */
export function useAnalysis(id: string) {
  const { analyses, progressOf } = useServices();
  const [{ analysis, failure }, setFollowed] = useState<FollowedAnalysis>({ analysis: null, failure: null });
  const [round, setRound] = useState(0);
  const put = useCallback((told: Analysis) => {
    setFollowed({ analysis: told, failure: null });
  }, []);
  useEffect(() => {
    let wanted = true;
    analyses.analysis(id).then(
      (read) => {
        if (wanted) put(read);
      },
      (error: unknown) => {
        if (wanted) setFollowed((before) => ({ ...before, failure: asFailure(error) }));
      },
    );
    return () => {
      wanted = false;
    };
  }, [analyses, id, round, put]);
  const goes = analysis !== null && !hasEnded(analysis);
  useEffect(() => {
    if (!goes) return undefined;
    const feed = progressOf(id, {
      onAnalysis: put,
      onRefused: (refused) => {
        setFollowed((before) => ({ ...before, failure: refused }));
      },
    });
    feed.open();
    return () => {
      feed.close();
    };
  }, [goes, id, progressOf, put]);
  const reload = useCallback(() => {
    setRound((before) => before + 1);
  }, []);
  return { analysis, failure, put, reload };
}

export interface Media {
  /** null until it can be shown */
  readonly url: string | null;
  readonly failure: StreamFailure | null;
  /** It is large and would have to be read into memory: `read` does so when the user decides to. */
  readonly asks: boolean;
  readonly read: () => void;
}

/** A file for the browser's player: by its URL, or read into memory if a token is required. */
export function useMedia(path: string, bytes: number): Media {
  const { analyses } = useServices();
  const [wanted, setWanted] = useState(false);
  const [blob, setBlob] = useState<{ path: string; url: string | null; failure: StreamFailure | null } | null>(null);
  const asks = !analyses.open && !wanted && bytes > MOST_UNASKED_BYTES;
  const reads = !analyses.open && !asks;
  useEffect(() => {
    if (!reads) return undefined;
    const run = new AbortController();
    let url: string | null = null;
    analyses.file(path, run.signal).then(
      (read) => {
        if (run.signal.aborted) return;
        url = URL.createObjectURL(read);
        setBlob({ path, url, failure: null });
      },
      (error: unknown) => {
        if (!run.signal.aborted) setBlob({ path, url: null, failure: asFailure(error) });
      },
    );
    return () => {
      run.abort();
      if (url !== null) URL.revokeObjectURL(url);
    };
  }, [analyses, path, reads]);
  const read = useCallback(() => {
    setWanted(true);
  }, []);
  if (analyses.open) return { url: analyses.address(path), failure: null, asks, read };
  const mine = blob?.path === path ? blob : null;
  return { url: mine?.url ?? null, failure: mine?.failure ?? null, asks, read };
}

/** The annotated video of one model, followed while it is being created. */
export function useAnnotated(id: string, model: string) {
  const { analyses } = useServices();
  const [annotated, setAnnotated] = useState<Annotated | null>(null);
  const [failure, setFailure] = useState<StreamFailure | null>(null);
  const take = useCallback(async (asking: Promise<Annotated>, wanted: () => boolean): Promise<void> => {
    try {
      const answer = await asking;
      if (!wanted()) return;
      setAnnotated(answer);
      setFailure(null);
    } catch (error) {
      if (wanted()) setFailure(asFailure(error));
    }
  }, []);
  const made = annotated?.state === "queued" || annotated?.state === "running";
  useEffect(() => {
    let wanted = true;
    const ask = (): void => void take(analyses.annotated(id, model), () => wanted);
    ask();
    const timer = made ? setInterval(ask, ANNOTATED_MS) : undefined;
    return () => {
      wanted = false;
      clearInterval(timer);
    };
  }, [analyses, id, model, made, take]);
  const make = (): void => void take(analyses.annotate(id, model), () => true);
  return { annotated: annotated ?? NOT_ANNOTATED, failure, make };
}
