import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { StatusLine } from "./components/StatusLine";
import { TokenDialog } from "./components/TokenDialog";
import { LiveCheck } from "./pages/LiveCheck";
import { Models } from "./pages/Models";
import { useResource } from "./resource";
import { ROUTES, useRoute } from "./route";
import type { AccessToken } from "./stream/accessToken";
import type { CheckStream } from "./stream/checkStream";
import type { Server } from "./stream/server";
import type { Media } from "./stream/source";

interface Props {
  readonly server: Server;
  readonly stream: CheckStream;
  readonly token: AccessToken;
  readonly media: Media | undefined;
}

export function App({ server, stream, token, media }: Props) {
  const route = useRoute();
  const snapshot = useSyncExternalStore(stream.subscribe, stream.snapshot);
  const [status, reloadStatus] = useResource(useCallback(() => server.status(), [server]));
  const [dialogClosed, setDialogClosed] = useState(false);
  const [tokensGiven, setTokensGiven] = useState(0);
  const content = useRef<HTMLElement>(null);
  const label = ROUTES.find((entry) => entry.route === route)?.label ?? "";
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

  const retry = (): void => {
    setDialogClosed(false);
    reloadStatus();
  };
  const takeToken = (given: string): void => {
    token.keep(given);
    setTokensGiven((before) => before + 1);
    stream.stop();
    reloadStatus();
  };
  return (
    <div className="mx-auto flex min-h-dvh max-w-7xl flex-col px-4 md:px-6">
      <header className="flex flex-wrap items-center gap-x-4 gap-y-1 py-3 sm:gap-x-8">
        <span className="flex items-center gap-2 font-semibold">
          <img src="/icon.svg" alt="" className="size-6" />
          <span className="sr-only sm:not-sr-only">stream-detect</span>
        </span>
        <nav aria-label="Pages" className="flex gap-1">
          {ROUTES.map(({ route: to, href, label: name }) => (
            <a
              key={to}
              href={href}
              aria-current={to === route ? "page" : undefined}
              onClick={() => content.current?.focus()}
              className="rounded-lg px-3 py-2 text-muted aria-[current]:bg-surface aria-[current]:font-semibold aria-[current]:text-ink"
            >
              {name}
              {to === "live" && route !== "live" && snapshot.state === "live" && <span className="font-normal"> (running)</span>}
            </a>
          ))}
        </nav>
        <div className="min-h-6 basis-full xl:ml-auto xl:basis-auto">
          <StatusLine status={status} snapshot={snapshot} onRetry={retry} />
        </div>
      </header>
      <main ref={content} tabIndex={-1} className="flex-1 pb-8 outline-none">
        {route === "live" ? (
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
          <Models server={server} />
        )}
      </main>
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
  );
}
