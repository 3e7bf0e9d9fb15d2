import { lazy, Suspense, useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Loading } from "./components/ListState";
import { StatusLine } from "./components/StatusLine";
import { TokenDialog } from "./components/TokenDialog";
import { LiveCheck } from "./pages/LiveCheck";
import { useResource } from "./resource";
import { PLACES, useRoute, type Route } from "./route";
import { ServicesContext, type Services } from "./services";
import type { AccessToken } from "./stream/accessToken";
import type { CheckStream } from "./stream/checkStream";
import type { Status } from "./stream/server";
import type { Media } from "./stream/source";
import { asSentence } from "./words";

// The first page is there at once; the others come when they are asked for.
const Analyses = lazy(async () => ({ default: (await import("./pages/Analyses")).Analyses }));
const AnalysisPage = lazy(async () => ({ default: (await import("./pages/AnalysisPage")).AnalysisPage }));
const CameraPage = lazy(async () => ({ default: (await import("./pages/CameraPage")).CameraPage }));
const Cameras = lazy(async () => ({ default: (await import("./pages/Cameras")).Cameras }));
const EventPage = lazy(async () => ({ default: (await import("./pages/EventPage")).EventPage }));
const Events = lazy(async () => ({ default: (await import("./pages/Events")).Events }));
const Models = lazy(async () => ({ default: (await import("./pages/Models")).Models }));

const STATUS_MS = 60_000;

interface Props {
  readonly services: Services;
  readonly stream: CheckStream;
  readonly token: AccessToken;
  readonly media: Media | undefined;
}

export function App({ services, stream, token, media }: Props) {
  const { server, fleet } = services;
  const route = useRoute();
  const snapshot = useSyncExternalStore(stream.subscribe, stream.snapshot);
  const [status, reloadStatus] = useResource(useCallback(() => server.status(), [server]));
  const [dialogClosed, setDialogClosed] = useState(false);
  const [tokensGiven, setTokensGiven] = useState(0);
  const content = useRef<HTMLElement>(null);
  const label = PLACES.find(({ pages }) => pages.includes(route.page))?.label ?? "";
  const refused = (status.state === "failed" && status.failure.code === "token") || snapshot.failure?.code === "token";

  useEffect(() => {
    document.title = `${label} · stream-detect`;
  }, [label]);

  // Another model judges from now on: its limits and terms are the status'.
  const judging = snapshot.hello?.model.sha256;
  const known = status.state === "ready" ? status.value.model.sha256 : undefined;
  useEffect(() => {
    if (judging !== undefined && known !== undefined && judging !== known) reloadStatus();
  }, [judging, known, reloadStatus]);

  // What the server says of itself changes, and a server that was away comes back.
  useEffect(() => {
    const timer = setInterval(reloadStatus, STATUS_MS);
    return () => {
      clearInterval(timer);
    };
  }, [reloadStatus]);

  const retry = (): void => {
    setDialogClosed(false);
    reloadStatus();
  };
  const takeToken = (given: string): void => {
    token.keep(given);
    setTokensGiven((before) => before + 1);
    stream.stop();
    fleet.retry();
    reloadStatus();
  };
  return (
    <ServicesContext value={services}>
      <div className="mx-auto flex min-h-dvh max-w-7xl flex-col px-4 md:px-6">
        <header className="flex flex-wrap items-center gap-x-4 gap-y-1 py-3 sm:gap-x-8">
          <span className="flex items-center gap-2 font-semibold">
            <img src="icon.svg" alt="" className="size-6" />
            <span className="sr-only sm:not-sr-only">stream-detect</span>
          </span>
          <nav aria-label="Pages" className="-mx-1 flex flex-wrap sm:mx-0 sm:gap-1">
            {PLACES.map(({ pages, href, label: name }) => (
              <a
                key={href}
                href={href}
                aria-current={pages.includes(route.page) ? "page" : undefined}
                onClick={() => content.current?.focus()}
                className="rounded-lg px-1 py-2 text-[13px] whitespace-nowrap text-muted aria-[current]:bg-surface aria-[current]:font-semibold aria-[current]:text-ink sm:px-3 sm:text-base"
              >
                {name}
                {href === "#/" && route.page !== "live" && snapshot.state === "live" && <span className="font-normal"> (running)</span>}
              </a>
            ))}
          </nav>
        </header>
        {status.state === "ready" && status.value.problems.length > 0 && (
          <p role="status" data-testid="problems" className="panel mb-4 p-3 text-sm">
            <span className="font-semibold">Problems:</span> {status.value.problems.map(asSentence).join(" ")}
          </p>
        )}
        <main ref={content} tabIndex={-1} className="flex-1 pb-8 outline-none">
          {route.page === "live" ? (
            <LiveCheck
              stream={stream}
              snapshot={snapshot}
              status={status.state === "ready" ? status.value : null}
              media={media}
              onToken={() => {
                setDialogClosed(false);
              }}
            />
          ) : (
            // What a server refused is asked for again with another token.
            <Suspense key={tokensGiven} fallback={<Loading>Loading the page …</Loading>}>
              <Page route={route} services={services} status={status.state === "ready" ? status.value : null} />
            </Suspense>
          )}
        </main>
        <footer className="-mx-4 sm:sticky sm:bottom-0 border-t border-edge bg-canvas px-4 py-2 md:-mx-6 md:px-6 print:static">
          <StatusLine status={status} snapshot={snapshot} delays={route.page === "live" || snapshot.state === "live"} onRetry={retry} />
        </footer>
        {refused && !dialogClosed && (
          <TokenDialog
            refused={tokensGiven > 0}
            onToken={takeToken}
            onClose={() => {
              setDialogClosed(true);
            }}
          />
        )}
      </div>
    </ServicesContext>
  );
}

interface PageProps {
  readonly route: Exclude<Route, { readonly page: "live" }>;
  readonly services: Services;
  readonly status: Status | null;
}

function Page({ route, services, status }: PageProps) {
  switch (route.page) {
    case "cameras":
      return <Cameras limits={status?.model.limits ?? []} />;
    case "camera":
      return <CameraPage key={route.name} name={route.name} status={status} />;
    case "events":
      return <Events filter={route.filter} />;
    case "event":
      return <EventPage key={route.id} id={route.id} limits={status?.model.limits ?? []} />;
    case "analyses":
      return <Analyses filter={route.filter} />;
    case "analysis":
      return <AnalysisPage key={route.id} id={route.id} />;
    case "models":
      return <Models server={services.server} />;
  }
}
