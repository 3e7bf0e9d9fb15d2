/** Analyses as the pages follow them: a list with its pages, one with its progress, its media, its annotated video. */

import { useCallback, useEffect, useRef, useState } from "react";
import { useServices } from "./services";
import { followed, hasEnded, NOT_ANNOTATED, withAnalysis, type Analysis, type AnalysisFilter, type Annotated } from "./stream/analyses";
import { asFailure, type StreamFailure } from "./stream/failure";

/** Of a browser's six connections to a server, some are for pictures. */
const FOLLOWED = 2;
/** What is not followed by itself is read again so often, while something is on its way. */
const REREAD_MS = 10_000;
const ANNOTATED_MS = 1_000;
/** A longer file is not read into the browser's memory unasked. */
const MOST_UNASKED_BYTES = 300_000_000;

export interface AnalysisList {
  /** null before the first page */
  readonly items: readonly Analysis[] | null;
  readonly next: string | null;
  readonly failure: StreamFailure | null;
  readonly reading: boolean;
}

const BEGINNING: AnalysisList = { items: null, next: null, failure: null, reading: true };

/** The pages read so far, kept up to date. The filter is that of the first call: another one is another list (`key`). */
export function useAnalyses(filter: AnalysisFilter) {
  const { analyses, uploads, progressOf } = useServices();
  const [list, setList] = useState(BEGINNING);
  const [kept] = useState(filter);
  const change = useCallback((update: (items: readonly Analysis[]) => readonly Analysis[]) => {
    setList((before) => (before.items === null ? before : { ...before, items: update(before.items) }));
  }, []);
  const put = useCallback(
    (analysis: Analysis) => {
      change((items) => withAnalysis(items, analysis, kept));
    },
    [change, kept],
  );
  const drop = useCallback(
    (id: string) => {
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
          const fresh = page.items.filter(({ id }) => !items?.some((analysis) => analysis.id === id));
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
      // A server that is away for a moment is asked again in a moment.
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

/** One analysis until it has ended. */
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
  /** null until there is something to show */
  readonly url: string | null;
  readonly failure: StreamFailure | null;
  /** It is long, and would have to be read whole into memory: the person decides, by `read`. */
  readonly asks: boolean;
  readonly read: () => void;
}

/** A file for the browser's own player: by its address, or where a token is wanted, read whole. */
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
  if (analyses.open) return { url: path, failure: null, asks, read };
  const mine = blob?.path === path ? blob : null;
  return { url: mine?.url ?? null, failure: mine?.failure ?? null, asks, read };
}

/** The annotated video of one model, followed while it is made. */
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
