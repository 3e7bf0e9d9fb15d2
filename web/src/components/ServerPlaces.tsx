import { useMe, may } from "../roles";
import { SERVER_PLACES, type Route } from "../route";

/** Links to the pages about the server and its users, as far as the user may see them. */
export function ServerPlaces({ page }: { readonly page: Route["page"] }) {
  const me = useMe();
  const places = SERVER_PLACES.filter(({ least }) => may(me, least));
  if (places.length < 2) return null;
  return (
    <nav aria-label="Server" className="flex flex-wrap gap-1">
      {places.map(({ pages, href, label }) => (
        <a
          key={href}
          href={href}
          aria-current={pages.includes(page) ? "page" : undefined}
          className="flex h-11 items-center rounded-lg px-3 text-muted aria-[current]:bg-surface aria-[current]:font-semibold aria-[current]:text-ink"
        >
          {label}
        </a>
      ))}
    </nav>
  );
}
