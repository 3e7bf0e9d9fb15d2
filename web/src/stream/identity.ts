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
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  /** @throws {StreamFailure} when the name or the password is wrong */
  async signIn(name: string, password: string): Promise<void> {
    this.token.forget(); // it would be sent as well, and takes precedence over the session
    this.#set(await this.server.signIn(name, password));
  }

  /** @throws {StreamFailure} */
  async signOut(everywhere: boolean): Promise<void> {
    await (everywhere ? this.server.signOutEverywhere() : this.server.signOut());
    await this.refresh();
  }

  async #ask(): Promise<void> {
    try {
      this.#set(await this.server.me());
    } catch {
      // No response, or a refused token: the page's next request shows the reason.
    }
  }

  #set(me: Me): void {
    this.#me = me;
    for (const listener of [...this.#listeners]) listener();
  }
}
