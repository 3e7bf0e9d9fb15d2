/**
 * The signed-in user. Independent of the view: use `subscribe` and `snapshot`. It asks the server again after a response
 * 401, so that a session that was ended elsewhere ends here, too.
 */

import type { AccessServer, Me } from "./access";
import type { AccessToken } from "./accessToken";
import type { Http } from "./http";

export class Identity {
  readonly #listeners = new Set<() => void>();
  #me: Me | null = null;
  #asking: Promise<void> | null = null;
  /** Number of sign-ins, sign-outs and changes of the token: responses requested before the last one are outdated. */
  #changes = 0;

  constructor(
    http: Http,
    private readonly server: AccessServer,
    private readonly token: AccessToken,
  ) {
    http.onUnauthorized = () => void this.refresh();
  }

  /** null until known */
  readonly snapshot = (): Me | null => this.#me;

  /** @returns a function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The user; the first call asks the server. null if the server does not respond. */
  async known(): Promise<Me | null> {
    if (this.#me === null) await this.refresh();
    return this.#me;
  }

  /** Asks again; without a response, the known user is kept. */
  refresh(): Promise<void> {
    if (this.#asking !== null) return this.#asking;
    const asking = this.#ask().finally(() => {
      if (this.#asking === asking) this.#asking = null;
    });
    this.#asking = asking;
    return asking;
  }

  /** Asks again after a sign-out or a change of the token, whatever request is in progress. */
  renew(): Promise<void> {
    this.#changes += 1;
    this.#asking = null;
    return this.refresh();
  }

  /** @throws {StreamFailure} when the name or the password is wrong */
  async signIn(name: string, password: string): Promise<void> {
    this.token.forget(); // it would be sent as well, and takes precedence over the session
    const me = await this.server.signIn(name, password);
    this.#changes += 1;
    this.#set(me);
  }

  /** @throws {StreamFailure} */
  async signOut(everywhere: boolean): Promise<void> {
    await (everywhere ? this.server.signOutEverywhere() : this.server.signOut());
    await this.renew();
  }

  async #ask(): Promise<void> {
    const changes = this.#changes;
    try {
      const me = await this.server.me();
      if (changes === this.#changes) this.#set(me);
    } catch {
      // No response, or a refused token: the page's next request shows the reason.
    }
  }

  #set(me: Me): void {
    this.#me = me;
    for (const listener of [...this.#listeners]) listener();
  }
}
