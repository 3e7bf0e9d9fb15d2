/** Reads server-sent events (HTML standard, 9.2.6): pieces of text enter, whole messages leave. */

export interface SseMessage {
  readonly event: string;
  readonly data: string;
}

/** No message of ours is nearly so long; a stream that never ends a line is no stream of ours. */
const MOST_CHARACTERS = 1_000_000;

export class SseReader {
  #rest = "";
  #event = "";
  #data: string[] = [];

  /**
   * @returns the messages that this piece completed
   * @throws {RangeError} when a message grows beyond all measure
   */
  push(piece: string): readonly SseMessage[] {
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MOST_CHARACTERS || this.#data.length > MOST_CHARACTERS) throw new RangeError("expected shorter messages");
    return lines.flatMap((line) => this.#take(line));
  }

  #take(line: string): readonly SseMessage[] {
    if (line === "") {
      const message = { event: this.#event || "message", data: this.#data.join("\n") };
      const empty = this.#data.length === 0;
      this.#event = "";
      this.#data = [];
      return empty ? [] : [message];
    }
    const colon = line.indexOf(":");
    if (colon === 0) return []; // a comment: the server says that it is there
    const [field, value] = colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    if (field === "event") this.#event = value;
    if (field === "data") this.#data.push(value);
    return [];
  }
}
