/**
 * Loads pictures and clips as blobs, with the access token. Fifty cameras request snapshots at once, and a browser opens
 * only six connections: a few pictures are loaded at a time, the others are queued.
 */

import type { CameraServer } from "./cameraServer";

/** Of the browser's six connections to a server over HTTP/1.1, two are event streams. */
const AT_ONCE = 3;

export class Pictures {
  readonly #line: (() => void)[] = [];
  #reading = 0;

  constructor(private readonly server: Pick<CameraServer, "file">) {}

  /** @throws {StreamFailure} also when `signal` is aborted while the picture is queued */
  async load(path: string, signal: AbortSignal): Promise<Blob> {
    await this.#turn(signal);
    try {
      signal.throwIfAborted();
      return await this.server.file(path, signal);
    } finally {
      this.#reading -= 1;
      this.#line.shift()?.();
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", leave);
        this.#reading += 1;
        resolve();
      };
      const leave = (): void => {
        this.#line.splice(this.#line.indexOf(enter), 1);
        reject(new DOMException("aborted", "AbortError"));
      };
      if (this.#reading < AT_ONCE) enter();
      else {
        this.#line.push(enter);
        signal.addEventListener("abort", leave, { once: true });
      }
    });
  }
}
