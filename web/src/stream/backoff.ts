/** Pauses between attempts: they double from 0.5 s to 10 s, with jitter so that clients do not return all at once. */

const FIRST_MS = 500;
const LONGEST_MS = 10_000;
const SPREAD = 0.2;

/** About a minute of attempts; then the user has to decide. */
export const MAX_RECONNECTS = 9;

/**
 * @param attempt counts from 1
 * @param random in [0, 1)
 */
export function backoffMs(attempt: number, random: number): number {
  const plain = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1));
  return Math.round(plain * (1 - SPREAD + 2 * SPREAD * random));
}

/** Waits; rejects with the signal's reason if it is aborted first. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new DOMException("aborted", "AbortError"));
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
