/** Keeps the server's access token for this tab: in its session storage, or in memory where that is blocked. */

const KEY = "stream-detect.token";

export class AccessToken {
  #inMemory: string | null = null;

  constructor(private readonly storage: () => Storage) {}

  get value(): string | null {
    try {
      return this.storage().getItem(KEY) ?? this.#inMemory;
    } catch {
      return this.#inMemory; // the browser forbids storage to this page
    }
  }

  keep(token: string): void {
    this.#inMemory = token;
    try {
      this.storage().setItem(KEY, token);
    } catch {
      // The browser forbids storage to this page: the token lives as long as the page does.
    }
  }

  forget(): void {
    this.#inMemory = null;
    try {
      this.storage().removeItem(KEY);
    } catch {
      // The browser forbids storage to this page: there is nothing in it.
    }
  }

  headers(): Record<string, string> {
    const token = this.value;
    return token === null ? {} : { Authorization: `Bearer ${token}` };
  }
}
