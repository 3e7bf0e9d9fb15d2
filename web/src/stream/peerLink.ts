/**
 * Watches over one RTCPeerConnection: when its candidates are gathered, when it is connected, when it is lost. What is
 * sent over it is its owner's affair.
 */

import { StreamFailure } from "./failure";

/** Candidates that take longer than this belong to interfaces that lead nowhere. */
const GATHER_MS = 3_000;
/** From the answer to the first connected state. */
const CONNECT_MS = 15_000;
/** ICE mends a short "disconnected" by itself. */
const MEND_MS = 3_000;

export class PeerLink {
  /** Resolves, with what happened in words, when the connection is lost or closed. */
  readonly lost: Promise<string>;
  #lose: (why: string) => void = () => undefined;
  #mend: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(readonly peer: RTCPeerConnection) {
    this.lost = new Promise((resolve) => (this.#lose = resolve));
  }

  get closed(): boolean {
    return this.#closed;
  }

  lose(why: string): void {
    this.#lose(why);
  }

  /** The whole offer: the server takes no candidates later, but a slow one is not waited for for ever. */
  async offer(): Promise<string> {
    await this.peer.setLocalDescription();
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        if (this.peer.iceGatheringState !== "complete") return;
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(resolve, GATHER_MS);
      this.peer.onicegatheringstatechange = finish;
      finish();
    });
    return this.peer.localDescription?.sdp ?? "";
  }

  /**
   * Takes the answer and waits until media may flow.
   *
   * @throws {StreamFailure} when no connection comes about in time
   */
  async connect(answerSdp: string): Promise<void> {
    await this.peer.setRemoteDescription({ type: "answer", sdp: answerSdp });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const connected = new Promise<null>((resolve) => {
      this.peer.onconnectionstatechange = () => {
        this.#watch();
        if (this.peer.connectionState === "connected") resolve(null);
      };
      if (this.peer.connectionState === "connected") resolve(null);
    });
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(resolve, CONNECT_MS, `no connection within ${CONNECT_MS / 1000} s; a firewall may be in between`);
    });
    const why = await Promise.race([connected, this.lost, late]);
    clearTimeout(timer);
    if (why !== null) throw new StreamFailure("connection-lost", why);
  }

  /** Stops watching; whoever made the peer closes it. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#mend);
    this.peer.ontrack = this.peer.onconnectionstatechange = this.peer.onicegatheringstatechange = null;
    this.#lose("closed");
  }

  #watch(): void {
    clearTimeout(this.#mend);
    if (this.#closed) return;
    const state = this.peer.connectionState;
    if (state === "failed" || state === "closed") this.#lose(`the connection ${state === "failed" ? "failed" : "was closed"}`);
    if (state === "disconnected") this.#mend = setTimeout(this.#lose, MEND_MS, "the network path was lost");
  }
}
