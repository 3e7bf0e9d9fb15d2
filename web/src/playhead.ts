/**
 * Where a video stands. The player, the timeline and the flagged frames share one: whoever seeks, all follow. Without a
 * player (the browser cannot play the file) it still stands where it was put.
 */

/** A frame's time is rounded to ms: a hair later is inside of that frame and not at the end of the one before. */
const INTO_FRAME_S = 0.001;

export class Playhead {
  readonly #listeners = new Set<() => void>();
  #video: HTMLVideoElement | null = null;
  #timeS = 0;
  #frame = 0;

  readonly timeS = (): number => this.#timeS;

  /** @returns the function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Follows a player, which takes over the place that was reached. @returns the function that lets it go */
  follow(video: HTMLVideoElement): () => void {
    this.#video = video;
    const place = (): void => {
      if (this.#timeS > 0) video.currentTime = this.#timeS;
    };
    const take = (): void => {
      if (video.readyState > 0) this.#set(video.currentTime);
    };
    const run = (): void => {
      take();
      if (!video.paused && !video.ended) this.#frame = requestAnimationFrame(run);
    };
    const events = [
      ["loadedmetadata", place],
      ["play", run],
      ["seeking", take],
      ["timeupdate", take],
    ] as const;
    for (const [event, listener] of events) video.addEventListener(event, listener);
    if (video.readyState > 0) place();
    return () => {
      for (const [event, listener] of events) video.removeEventListener(event, listener);
      cancelAnimationFrame(this.#frame);
      if (this.#video === video) this.#video = null;
    };
  }

  seek(timeS: number): void {
    if (this.#video !== null && this.#video.readyState > 0) this.#video.currentTime = timeS + INTO_FRAME_S;
    this.#set(timeS);
  }

  #set(timeS: number): void {
    if (timeS === this.#timeS) return;
    this.#timeS = timeS;
    for (const listener of [...this.#listeners]) listener();
  }
}
