/**
 * One WebRTC connection to the server, from `open` to `close`. It sends an open source; the listener receives the
 * returned video, messages, round-trip times and statistics. After a loss, a new connection is created.
 */

import { StreamFailure } from "./failure";
import { challengeMessage, parseMessage, pingMessage, type ChallengeAction, type ServerMessage } from "./messages";
import { PeerLink } from "./peerLink";
import type { CheckServer } from "./server";
import { ShapeError } from "./shape";
import { readCounters, streamStats, type Counters, type StreamStats } from "./stats";

const PING_MS = 2_000;
/** Without a result or pong for this long the server is gone, whatever the state of the connection. */
const SILENCE_MS = 6_000;
const STATS_MS = 1_000;
/** Maximum number of unanswered pings that are remembered. */
const MAX_PINGS = 8;

export interface ConnectionListener {
  onPicture(picture: MediaStream): void;
  onMessage(message: ServerMessage): void;
  onRoundTrip(ms: number): void;
  onStats(stats: StreamStats): void;
}

/** Another connection would end in the same way. */
const TOO_LARGE = "the video is larger than the server accepts; share a smaller window, or use a camera of a lower resolution";

function failureOf(byeReason: string): StreamFailure {
  if (byeReason === "video_too_large") return new StreamFailure("server-error", TOO_LARGE);
  const why = byeReason === "server_shutdown" ? "the server is shutting down" : "the server ended the session";
  return new StreamFailure("connection-lost", why);
}

export class Connection {
  readonly #link: PeerLink;
  readonly #channel: RTCDataChannel;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  readonly #pings = new Map<number, number>();
  #counters: Counters | null = null;
  #location: string | null = null;
  #bye: StreamFailure | null = null;
  #heardMs = 0;
  #pinged = 0;

  constructor(
    private readonly peer: RTCPeerConnection,
    source: MediaStream,
    private readonly server: CheckServer,
    private readonly listener: ConnectionListener,
    private readonly sourceLabel: string,
  ) {
    this.#link = new PeerLink(peer);
    for (const track of source.getVideoTracks().slice(0, 1)) peer.addTransceiver(track, { direction: "sendrecv", streams: [source] });
    this.#channel = peer.createDataChannel("results");
    this.#channel.onmessage = (event: MessageEvent<unknown>) => {
      this.#receive(event.data);
    };
    this.#channel.onclose = () => {
      this.#link.lose("the server closed the channel");
    };
    peer.ontrack = ({ track }) => {
      listener.onPicture(new MediaStream([track]));
    };
  }

  /** Resolves with the reason when the connection is lost or closed. */
  get lost(): Promise<StreamFailure> {
    return this.#link.lost.then((why) => this.#bye ?? new StreamFailure("connection-lost", why));
  }

  /**
   * Sends the offer, applies the answer and waits until media can flow.
   * @throws {StreamFailure} when the server refuses, or there is no connection in time
   */
  async open(): Promise<void> {
    const answer = await this.server.offer(await this.#link.offer(), this.sourceLabel);
    this.#location = answer.location;
    if (this.#link.closed) {
      await this.server.end(answer.location); // closed before the server's answer arrived
      throw new StreamFailure("connection-lost", "closed before it was open");
    }
    await this.#link.connect(answer.sdp);
    this.#heardMs = performance.now();
    this.#timers.push(
      setInterval(() => {
        this.#ping();
      }, PING_MS),
      setInterval(() => {
        void this.#measure();
      }, STATS_MS),
    );
  }

  /** Starts or stops a challenge; its state is in the results. */
  challenge(action: ChallengeAction): void {
    if (this.#channel.readyState === "open") this.#channel.send(challengeMessage(action));
  }

  /** Ends the connection on both sides. May be called at any time, and repeatedly. */
  close(): void {
    if (this.#link.closed) return;
    this.#timers.forEach(clearInterval);
    this.#channel.onmessage = this.#channel.onclose = null;
    this.#link.close();
    void this.#end();
  }

  /** The session first: a server that sees the peer disconnect ends the session itself, and the request would fail. */
  async #end(): Promise<void> {
    if (this.#location !== null) await this.server.end(this.#location);
    this.peer.close();
  }

  #receive(data: unknown): void {
    this.#heardMs = performance.now();
    if (typeof data !== "string") return;
    let message: ServerMessage | null;
    try {
      message = parseMessage(data);
    } catch (error) {
      if (!(error instanceof ShapeError || error instanceof SyntaxError)) throw error;
      console.warn(`ignored a message that does not follow the protocol: ${error.message}`);
      return;
    }
    if (message === null) return;
    if (message.type === "pong") this.#pong(message.value.id);
    else this.listener.onMessage(message);
    if (message.type === "bye") {
      this.#location = null; // the server has already ended it
      this.#bye = failureOf(message.value.reason);
      this.#link.lose(this.#bye.detail);
    }
  }

  #ping(): void {
    const now = performance.now();
    if (now - this.#heardMs > SILENCE_MS) {
      this.#link.lose(`nothing was heard from the server for ${SILENCE_MS / 1000} s`);
      return;
    }
    if (this.#channel.readyState !== "open") return;
    this.#pinged += 1;
    this.#pings.set(this.#pinged, now);
    this.#pings.delete(this.#pinged - MAX_PINGS);
    this.#channel.send(pingMessage(this.#pinged));
  }

  #pong(id: number): void {
    const sentMs = this.#pings.get(id);
    this.#pings.delete(id);
    if (sentMs !== undefined) this.listener.onRoundTrip(performance.now() - sentMs);
  }

  async #measure(): Promise<void> {
    const now = readCounters(await this.peer.getStats());
    if (this.#link.closed) return;
    this.listener.onStats(streamStats(this.#counters, now));
    this.#counters = now;
  }
}
