/** Pictures of the server as object URLs for elements of the page; each is revoked when it is no longer shown. */

import { useEffect, useState, type RefObject } from "react";
import { useServices } from "./services";
import { asFailure, type StreamFailure } from "./stream/failure";

export interface ShownFile {
  /** null until it is loaded */
  readonly url: string | null;
  readonly failure: StreamFailure | null;
}

const NOTHING: ShownFile = { url: null, failure: null };

interface ReadFile extends ShownFile {
  /** Path of the file; null before the first. */
  readonly path: string | null;
}

/**
 * Loads a file. The file of another path is never returned: there is none until the new one is loaded.
 *
 * @param path null keeps the current picture
 * @param everyMs how often it is reloaded; null for a file that does not change
 */
export function useFile(path: string | null, everyMs: number | null = null): ShownFile {
  const { pictures } = useServices();
  const [file, setFile] = useState<ReadFile>({ ...NOTHING, path: null });
  useEffect(() => {
    if (path === null) return undefined;
    const run = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      if (!document.hidden) {
        try {
          const blob = await pictures.load(path, run.signal);
          if (run.signal.aborted) return;
          setFile({ path, url: URL.createObjectURL(blob), failure: null });
        } catch (error) {
          if (run.signal.aborted) return;
          setFile((before) => ({ path, url: before.path === path ? before.url : null, failure: asFailure(error) }));
        }
      }
      if (everyMs !== null) timer = setTimeout(() => void read(), everyMs);
    };
    void read();
    return () => {
      run.abort();
      clearTimeout(timer);
    };
  }, [pictures, path, everyMs]);
  const { url } = file;
  useEffect(
    () => () => {
      if (url !== null) URL.revokeObjectURL(url);
    },
    [url],
  );
  return path === null || file.path === path ? file : NOTHING;
}

/** Whether an element is in the viewport, or close to it. */
export function useVisible(element: RefObject<Element | null>): boolean {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    if (element.current === null) return undefined;
    const observer = new IntersectionObserver(
      (entries) => {
        setVisible(entries.at(-1)?.isIntersecting ?? false);
      },
      { rootMargin: "80px" },
    );
    observer.observe(element.current);
    return () => {
      observer.disconnect();
    };
  }, [element]);
  return visible;
}
