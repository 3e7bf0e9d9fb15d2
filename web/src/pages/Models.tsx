import type { Server } from "../stream/server";
export function Models({ server }: { readonly server: Server }) {
  return <p>{typeof server}</p>;
}
