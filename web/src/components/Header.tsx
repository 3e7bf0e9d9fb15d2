import type { ReactNode } from "react";
import { may, ROLE_WORDS } from "../roles";
import { hrefOf, PLACES, SERVER_PLACES, type Route } from "../route";
import type { Me } from "../stream/access";

interface Props {
  readonly page: Route["page"];
  readonly me: Me | null;
  /** A live check is running while another page is open. */
  readonly running: boolean;
  readonly onChoose: () => void;
}

const LINK =
  "rounded-lg px-1 py-2 text-[13px] whitespace-nowrap text-muted aria-[current]:bg-surface aria-[current]:font-semibold aria-[current]:text-ink sm:px-3 sm:text-base";

/** The navigation, and who is signed in. */
export function Header({ page, me, running, onChoose }: Props) {
  const own = SERVER_PLACES.some(({ pages }) => pages.includes(page));
  return (
    <Bar>
      <nav aria-label="Pages" className="order-3 -mx-1 flex basis-full flex-wrap sm:order-2 sm:mx-0 sm:basis-auto sm:gap-1">
        {PLACES.filter(({ least }) => may(me, least)).map(({ pages, href, label }) => (
          <a key={href} href={href} aria-current={pages.includes(page) ? "page" : undefined} onClick={onChoose} className={LINK}>
            {label}
            {running && href === "#/" && page !== "live" && <span className="font-normal"> (running)</span>}
          </a>
        ))}
      </nav>
      <nav aria-label="Account and server" className="order-2 ml-auto min-w-0 sm:order-3">
        <a
          href={hrefOf({ page: "account" })}
          data-testid="account"
          aria-current={own ? "page" : undefined}
          onClick={onChoose}
          className={`${LINK} block truncate`}
        >
          {me?.name ?? "Server"}
          {me?.name != null && me.role !== null && <span className="font-normal"> · {ROLE_WORDS[me.role]}</span>}
        </a>
      </nav>
    </Bar>
  );
}

/** Header of a page: its name, and its actions. */
export function Bar({ children }: { readonly children?: ReactNode }) {
  return (
    <header className="flex flex-wrap items-center gap-x-4 gap-y-1 py-3 sm:gap-x-8">
      <span className="order-1 flex items-center gap-2 font-semibold">
        <img src="icon.svg" alt="" className="size-6" />
        <span className="sm:hidden lg:inline">stream-detect</span>
      </span>
      {children}
    </header>
  );
}
