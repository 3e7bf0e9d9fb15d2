/** The title of the browser's tab. */

import { useEffect } from "react";

/** Sets the title; of a page that names what it shows, call it there. null leaves it to that page. */
export function useTitle(title: string | null): void {
  useEffect(() => {
    if (title !== null) document.title = `${title} · stream-detect`;
  }, [title]);
}
