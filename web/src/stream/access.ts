/** Routes for users, sign-ins, tokens and the audit log (docs/protocol.md, "Access"). */

import { auditQuery, readAudit, type AuditFilter, type AuditPage } from "./audit";
import type { Http } from "./http";
import type { Read } from "./shape";
import { body, type Wire } from "./wire";

export type Me = Wire<"MeBody">;
export type User = Wire<"UserBody">;
export type Role = User["role"];
export type UserSession = Wire<"SessionBody">;
export type ApiToken = Wire<"TokenBody">;
export type MadeToken = Wire<"MadeTokenBody">;

/** From the least to the most rights. */
export const ROLES = ["viewer", "operator", "admin"] as const satisfies readonly Role[];

export interface NewUser {
  readonly name: string;
  readonly role: Role;
  readonly password: string;
}

export interface NewToken {
  readonly name: string;
  readonly role: Role;
  /** null: it does not expire */
  readonly expiresInDays: number | null;
  /** The only camera to which it can publish, without other rights; null: all rights of its role. */
  readonly camera: string | null;
}

export function covers(role: Role, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

const readMe = body("MeBody");
const readUser = body("UserBody");
const readUsers: Read<readonly User[]> = (value, where) => body("UsersBody")(value, where).items;
const readSessions: Read<readonly UserSession[]> = (value, where) => body("SessionsBody")(value, where).items;
const readTokens: Read<readonly ApiToken[]> = (value, where) => body("TokensBody")(value, where).items;

const userPath = (name: string): string => `/api/users/${encodeURIComponent(name)}`;

export class AccessServer {
  constructor(private readonly http: Http) {}

  async me(): Promise<Me> {
    return this.http.read("/api/me", readMe);
  }

  async signIn(name: string, password: string): Promise<Me> {
    return this.http.send("POST", "/api/session", { name, password }, readMe);
  }

  async signOut(): Promise<void> {
    await this.http.request("/api/session", { method: "DELETE" });
  }

  async signOutEverywhere(): Promise<void> {
    await this.http.request("/api/sessions", { method: "DELETE" });
  }

  /** @param user name of the user; null: oneself. Only admins may name others */
  async sessions(user: string | null): Promise<readonly UserSession[]> {
    return this.http.read(user === null ? "/api/sessions" : `${userPath(user)}/sessions`, readSessions);
  }

  async endSession(id: string): Promise<void> {
    await this.http.request(`/api/sessions/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  /** All sessions of a user; for admins */
  async endSessions(user: string): Promise<void> {
    await this.http.request(`${userPath(user)}/sessions`, { method: "DELETE" });
  }

  async changePassword(current: string, next: string): Promise<void> {
    await this.http.change("PUT", "/api/me/password", { current, new: next });
  }

  async users(): Promise<readonly User[]> {
    return this.http.read("/api/users", readUsers);
  }

  async addUser(user: NewUser): Promise<User> {
    return this.http.send("POST", "/api/users", user, readUser);
  }

  async changeUser(name: string, change: Partial<Pick<User, "role" | "disabled"> & { readonly password: string }>): Promise<User> {
    return this.http.send("PATCH", userPath(name), change, readUser);
  }

  async removeUser(name: string): Promise<void> {
    await this.http.request(userPath(name), { method: "DELETE" });
  }

  /** @param all list the tokens of all users; for admins */
  async tokens(all: boolean): Promise<readonly ApiToken[]> {
    return this.http.read(`/api/tokens${all ? "?all=true" : ""}`, readTokens);
  }

  async addToken({ name, role, expiresInDays, camera }: NewToken): Promise<MadeToken> {
    const wish = { name, role, expires_in_days: expiresInDays, camera };
    return this.http.send("POST", "/api/tokens", wish, body("MadeTokenBody"));
  }

  /** @param before `next` of the previous page; null for the newest */
  async audit(filter: AuditFilter, before: string | null): Promise<AuditPage> {
    const query = auditQuery(filter);
    if (before !== null) query.set("before", before);
    return this.http.read(`/api/audit?${query}`, readAudit);
  }

  async removeToken(id: string): Promise<void> {
    await this.http.request(`/api/tokens/${encodeURIComponent(id)}`, { method: "DELETE" });
  }
}

/** The address that starts single sign-on; it leads back to the page. */
export function oidcPath(hash: string): string {
  return `api/oidc/login?${new URLSearchParams({ to: `/${hash}` })}`;
}
