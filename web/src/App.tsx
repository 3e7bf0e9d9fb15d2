import { lazy, Suspense, useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { Bar, Header } from "./components/Header";
import { Empty, Loading } from "./components/ListState";
import { PageBoundary } from "./components/PageBoundary";
import { SignIn } from "./components/SignIn";
import { StatusLine } from "./components/StatusLine";
import { TokenDialog } from "./components/TokenDialog";
import { LiveCheck } from "./pages/LiveCheck";
import { useResource } from "./resource";
import { may, ROLE_WORDS } from "./roles";
import { hrefOf, openInstead, PLACES, SERVER_PLACES, useRoute, type Route } from "./route";
import { ServicesContext, type Services } from "./services";
import type { Me } from "./stream/access";
import type { AccessToken } from "./stream/accessToken";
import type { CheckStream } from "./stream/checkStream";
import { StreamFailure } from "./stream/failure";
import type { Status } from "./stream/server";
import type { Media } from "./stream/source";
import { useTitle } from "./title";
import { asSentence } from "./words";

// The first page is in the first bundle; the others are loaded on demand.
const Account = lazy(async () => ({ default: (await import("./pages/Account")).Account }));
const Analyses = lazy(async () => ({ default: (await import("./pages/Analyses")).Analyses }));
const AnalysisPage = lazy(async () => ({ default: (await import("./pages/AnalysisPage")).AnalysisPage }));
const Audit = lazy(async () => ({ default: (await import("./pages/Audit")).Audit }));
const CameraPage = lazy(async () => ({ default: (await import("./pages/CameraPage")).CameraPage }));
const Cameras = lazy(async () => ({ default: (await import("./pages/Cameras")).Cameras }));
const Checks = lazy(async () => ({ default: (await import("./pages/Checks")).Checks }));
const Cluster = lazy(async () => ({ default: (await import("./pages/Cluster")).Cluster }));
const EventPage = lazy(async () => ({ default: (await import("./pages/EventPage")).EventPage }));
const Events = lazy(async () => ({ default: (await import("./pages/Events")).Events }));
const Models = lazy(async () => ({ default: (await import("./pages/Models")).Models }));
const Users = lazy(async () => ({ default: (await import("./pages/Users")).Users }));

const STATUS_MS = 60_000;

/** Pages whose title names what they show: they set it themselves. */
const NAMED_BY_CONTENT: ReadonlySet<Route["page"]> = new Set(["camera", "event", "analysis"]);

interface Props {
  readonly services: Services;
  readonly stream: CheckStream;
  readonly token: AccessToken;
  readonly media: Media | undefined;
}

export function App({ services, stream, token, media }: Props) {
  const { server, fleet, identity, player, uploads } = services;
  const route = useRoute();
  const snapshot = useSyncExternalStore(stream.subscribe, stream.snapshot);
  const me = useSyncExternalStore(identity.subscribe, identity.snapshot);
  const [status, reloadStatus] = useResource(
    useCallback(async () => {
      if (isNobody(await identity.known())) throw new StreamFailure("token", "nobody is signed in");
      return server.status();
    }, [identity, server]),
  );
  const [dialogClosed, setDialogClosed] = useState(false);
  const [tokensGiven, setTokensGiven] = useState(0);
  const [asksToken, setAsksToken] = useState(false);
  const content = useRef<HTMLElement>(null);
  const place = [...PLACES, ...SERVER_PLACES].find(({ pages }) => pages.includes(route.page));
  const allowed = place === undefined || isNobody(me) || may(me, place.least);
  useTitle(NAMED_BY_CONTENT.has(route.page) ? null : (place?.label ?? ""));
  const refused = (status.state === "failed" && status.failure.code === "token") || snapshot.failure?.code === "token";

  // After the end of a sign-in, nothing keeps running and nothing stays visible.
  const nobody = isNobody(me);
  useEffect(() => {
    if (!nobody) return;
    stream.clear();
    player.stop();
    uploads.clear();
  }, [nobody, stream, player, uploads]);

  // A link in a page is gone with it: without this, the keyboard would start at the top of the document again.
  const [opened] = hrefOf(route).split("?", 1);
  const before = useRef(opened);
  useEffect(() => {
    if (before.current === opened) return;
    before.current = opened;
    if (content.current?.contains(document.activeElement) !== true) content.current?.focus();
  }, [opened]);

  // Viewers, who may not start a live check, begin with the cameras.
  useEffect(() => {
    if (!allowed && window.location.hash === "") openInstead({ page: "live" }, { page: "cameras" });
  }, [allowed]);

  // Another model is in use: the status has its limits and terms.
  const judging = snapshot.hello?.model.sha256;
  const known = status.state === "ready" ? status.value.model.sha256 : undefined;
  useEffect(() => {
    if (judging !== undefined && known !== undefined && judging !== known) reloadStatus();
  }, [judging, known, reloadStatus]);

  // The status changes, and an unreachable server may become reachable again.
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
  // Repeats the requests that were refused.
  const begin = (): void => {
    setTokensGiven((before) => before + 1);
    fleet.retry();
    reloadStatus();
  };
  const takeToken = (given: string): void => {
    token.keep(given);
    stream.stop();
    void identity.renew().then(begin);
  };
  if (nobody && me !== null && (me.signIn.password || me.signIn.oidc !== null)) {
    return (
      <ServicesContext value={services}>
        <div className="mx-auto min-h-dvh max-w-7xl px-4 md:px-6">
          <Bar />
          <main>
            <SignIn
              methods={me.signIn}
              onSignedIn={begin}
              onToken={() => {
                setAsksToken(true);
              }}
            />
          </main>
          {asksToken && (
            <TokenDialog
              refused={tokensGiven > 0}
              onToken={takeToken}
              onClose={() => {
                setAsksToken(false);
              }}
            />
          )}
        </div>
      </ServicesContext>
    );
  }
  return (
    <ServicesContext value={services}>
      <div className="mx-auto flex min-h-dvh max-w-7xl flex-col px-4 md:px-6">
        <Header page={route.page} me={me} running={snapshot.state === "live"} onChoose={() => content.current?.focus()} />
        {status.state === "ready" && status.value.problems.length > 0 && (
          <p role="status" data-testid="problems" className="panel mb-4 p-3 text-sm">
            <span className="font-semibold">Problems:</span> {status.value.problems.map(asSentence).join(" ")}
          </p>
        )}
        <main ref={content} tabIndex={-1} className="flex-1 pb-8 outline-none">
          {status.state === "loading" && (me === null || route.page === "live") ? (
            <Loading>Loading the page …</Loading>
          ) : !allowed && route.page !== "live" ? (
            <Empty>
              <p>
                This page needs the role {ROLE_WORDS[place.least].toLowerCase()}
                {me?.role != null && `; yours is ${ROLE_WORDS[me.role].toLowerCase()}`}.
              </p>
            </Empty>
          ) : route.page === "live" ? (
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
            // Requests that the server refused are repeated with the new token.
            <PageBoundary
              key={`${tokensGiven} ${opened}`}
              running={snapshot.state === "live"}
              answers={() =>
                server.status().then(
                  () => true,
                  (error: unknown) => error instanceof StreamFailure && error.code !== "connection-lost",
                )
              }
              onReload={() => {
                window.location.reload();
              }}
            >
              <Suspense fallback={<Loading>Loading the page …</Loading>}>
                <Page route={route} services={services} status={status.state === "ready" ? status.value : null} />
              </Suspense>
            </PageBoundary>
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

function isNobody(me: Me | null): boolean {
  return me !== null && me.role === null;
}

interface PageProps {
  readonly route: Exclude<Route, { readonly page: "live" }>;
  readonly services: Services;
  readonly status: Status | null;
}

function Page({ route, services, status }: PageProps) {
  switch (route.page) {
    case "checks":
      return <Checks />;
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
    case "account":
      return <Account />;
    case "users":
      return <Users />;
    case "audit":
      return <Audit filter={route.filter} />;
    case "cluster":
      return <Cluster />;
  }
}
