/**
 * Follows the state of one RTCPeerConnection: its candidates are gathered, it is connected, it is lost. Its owner
 * decides what is sent over it.
 */

import { StreamFailure } from "./failure";

/** Candidates that take longer belong to interfaces without a route to the server. */
const GATHER_MS = 3_000;
/** Time from the answer to the first connected state. */
const CONNECT_MS = 15_000;
/** ICE recovers from a short "disconnected" by itself. */
const MEND_MS = 3_000;

export class PeerLink {
  /** Resolves with the reason, in words, when the connection is lost or closed. */
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

  /** The complete offer: the server accepts no candidates later, and slow ones are waited for only so long. */
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
   * Applies the answer and waits until media can flow.
   * @throws {StreamFailure} when there is no connection in time
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

  /** Stops following; the owner closes the connection. */
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
