/**
 * Who sits at this page, as the server says. Knows no view: it is watched by `subscribe` and read by `snapshot`. It asks
 * again when a request was answered 401, so that a session that ended elsewhere ends here too.
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

  /** null until it is known */
  readonly snapshot = (): Me | null => this.#me;

  /** @returns the function that ends the subscription */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Who it is; asks at the first call. null when the server does not say. */
  async known(): Promise<Me | null> {
    if (this.#me === null) await this.refresh();
    return this.#me;
  }

  /** Asks anew; what was known stays when there is no answer. */
  refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  /** @throws {StreamFailure} when name and password are not taken */
  async signIn(name: string, password: string): Promise<void> {
    this.token.forget(); // it would be sent along, and counts before the session
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
      // No answer, or a token that is not taken: the page says so by what it asks for next.
    }
  }

  #set(me: Me): void {
    this.#me = me;
    for (const listener of [...this.#listeners]) listener();
  }
}
