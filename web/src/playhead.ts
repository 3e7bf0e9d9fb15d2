/**
 * The current position in a video, shared by the player, the timeline and the flagged frames: a seek in one moves all.
 * It also works without a player, if the browser cannot play the file.
 */

/** A frame's time is rounded to ms: seeking a little later hits that frame and not the end of the previous one. */
const INTO_FRAME_S = 0.001;

export class Playhead {
  readonly #listeners = new Set<() => void>();
  #video: HTMLVideoElement | null = null;
  #timeS = 0;
  #frame = 0;

  readonly timeS = (): number => this.#timeS;

  /** @returns a function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Follows a player, which first seeks to the current position. @returns a function that detaches the player */
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
