/** Keeps the access token for this tab, in session storage, or in memory if that is blocked. */

const KEY = "stream-detect.token";

export class AccessToken {
  #inMemory: string | null = null;

  constructor(private readonly storage: () => Storage) {}

  get value(): string | null {
    try {
      return this.storage().getItem(KEY) ?? this.#inMemory;
    } catch {
      return this.#inMemory; // the browser blocks storage for this page
    }
  }

  keep(token: string): void {
    this.#inMemory = token;
    try {
      this.storage().setItem(KEY, token);
    } catch {
      // The browser blocks storage for this page: the token is lost when the page is closed.
    }
  }

  forget(): void {
    this.#inMemory = null;
    try {
      this.storage().removeItem(KEY);
    } catch {
      // The browser blocks storage for this page: nothing is stored.
    }
  }

  headers(): Record<string, string> {
    const token = this.value;
    return token === null ? {} : { Authorization: `Bearer ${token}` };
  }
}
