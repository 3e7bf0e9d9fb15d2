/** What the user may do, so that the page offers nothing that the server would refuse. */

import { useSyncExternalStore } from "react";
import { useServices } from "./services";
import { covers, type Me, type Role } from "./stream/access";

export const ROLE_WORDS: Readonly<Record<Role, string>> = { viewer: "Viewer", operator: "Operator", admin: "Admin" };

export const ROLE_MEANINGS: Readonly<Record<Role, string>> = {
  viewer: "watches cameras and reads events and analyses",
  operator: "also checks live video, uploads files and tests notifications",
  admin: "also changes cameras, models and users, and deletes",
};

/** null until it is known */
export function useMe(): Me | null {
  const { identity } = useServices();
  return useSyncExternalStore(identity.subscribe, identity.snapshot);
}

/** Whether the role suffices; until it is known, the server decides. */
export function useMay(least: Role): boolean {
  return may(useMe(), least);
}

export function may(me: Me | null, least: Role): boolean {
  return me === null || (me.role !== null && covers(me.role, least));
}
