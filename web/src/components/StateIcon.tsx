import type { ReactNode } from "react";
import type { ShownState } from "../words";

/** An icon for each state, so that states differ by shape and not by colour alone. */
const SHAPES: Readonly<Record<ShownState, ReactNode>> = {
  real: (
    <>
      <circle cx="12" cy="12" r="9" />
      <path d="m8 12.500 2.700 2.700L16 9.500" />
    </>
  ),
  fake: (
    <>
      <path d="M8.300 3h7.400L21 8.300v7.400L15.700 21H8.300L3 15.700V8.300Z" />
      <path d="m9 9 6 6m0-6-6 6" />
    </>
  ),
  uncertain: (
    <>
      <path d="m12 2.500 9.500 9.500-9.500 9.500L2.500 12Z" />
      <path d="M9.700 10.200a2.300 2.300 0 1 1 3.400 2c-.8.5-1.100.9-1.100 1.700M12 16.600v.1" />
    </>
  ),
  gathering: (
    <>
      <circle cx="12" cy="12" r="9" strokeDasharray="3.200 3.200" />
      <path d="M8 12v.1M12 12v.1M16 12v.1" strokeWidth="2.600" />
    </>
  ),
  no_face: (
    <>
      <circle cx="12" cy="9" r="4" />
      <path d="M4.500 20.500c.8-4 3.700-6 7.500-6s6.700 2 7.500 6M3.500 3.500l17 17" />
    </>
  ),
  stale: (
    <>
      <circle cx="12" cy="12" r="9" />
      <path d="M12 7v5.300l3.500 2" />
    </>
  ),
  unavailable: (
    <>
      <path d="M12 3.500 22 20.500H2Z" />
      <path d="M12 10v4.500M12 17.300v.1" />
    </>
  ),
  offline: (
    <>
      <path d="M15 8.500V7H9m-4.500 0H3v10h12v-1.500M17 11l4-2.500v7L17 13M3.500 3.500l17 17" />
    </>
  ),
  idle: <rect x="5" y="5" width="14" height="14" rx="2" />,
  frozen: <path d="M8 5v14M16 5v14" />,
  looped: <path d="M4 12a8 8 0 0 1 14-5.300M20 12a8 8 0 0 1-14 5.300M18.500 3v4h-4M5.500 21v-4h4" />,
};

export function StateIcon({ state, className = "size-5" }: { readonly state: ShownState; readonly className?: string }) {
  return (
    <svg
      viewBox="0 0 24 24"
      aria-hidden="true"
      className={`shrink-0 ${className}`}
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {SHAPES[state]}
    </svg>
  );
}
