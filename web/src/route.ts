/** The two pages, by the address's hash: the server needs to know no page of ours. */

import { useSyncExternalStore } from "react";

export type Route = "live" | "models";

export const ROUTES: readonly { readonly route: Route; readonly href: string; readonly label: string }[] = [
  { route: "live", href: "#/", label: "Live check" },
  { route: "models", href: "#/models", label: "Models" },
];

export function routeOf(hash: string): Route {
  return hash === "#/models" ? "models" : "live";
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, () => routeOf(window.location.hash));
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => {
    window.removeEventListener("hashchange", listener);
  };
}
