import type { ReactNode } from "react";
import type { StreamSnapshot } from "../stream/checkStream";
import type { Browser } from "../words";
import { Countdown } from "./Countdown";
import { Message } from "./Message";
import { Notice, StageBox } from "./StageBox";

interface Props {
  readonly snapshot: StreamSnapshot;
  readonly browser: Browser;
  readonly host: string;
  readonly onToken: () => void;
}

/** The returned video, or a message in its place. */
export function Stage({ snapshot, browser, host, onToken }: Props) {
  const live = snapshot.state === "live";
  return (
    <StageBox picture={snapshot.picture} dimmed={!live} label="The checked video, as the server sent it back">
      {!live && (
        <div className="relative grid place-items-center p-4 sm:p-6 text-center">
          <Overlay snapshot={snapshot} browser={browser} host={host} onToken={onToken} />
        </div>
      )}
    </StageBox>
  );
}

function Overlay({ snapshot, browser, host, onToken }: Props): ReactNode {
  const { state, failure, source, attempt, retryAtMs } = snapshot;
  switch (state) {
    case "idle":
      return <Privacy host={host} title="Check a face in live video" />;
    case "closed":
      return <Privacy host={host} title={snapshot.sharingEnded ? "Sharing was stopped in the browser" : "Stopped. The camera is off"} />;
    case "asking":
      return (
        <Notice title={source === "screen" ? "Choose what to share" : "Allow the camera"}>
          Your browser is asking {source === "screen" ? "which window, tab or screen to share" : "whether this page may use it"}.
        </Notice>
      );
    case "connecting":
      return <Notice title="Connecting">The video will appear in a moment.</Notice>;
    case "live":
      return null;
    case "waiting":
    case "reconnecting":
      if (failure === null) return <Notice title="Reconnecting">Trying again.</Notice>;
      return (
        <Message failure={failure} source={source} browser={browser}>
          <p className="font-semibold">
            {state === "waiting" ? "Retrying" : `Reconnecting, attempt ${attempt}`}
            {retryAtMs !== null && (
              <>
                {" "}
                <Countdown key={retryAtMs} untilMs={retryAtMs} />
              </>
            )}
          </p>
        </Message>
      );
    case "failed":
      if (failure === null) return null;
      return (
        <Message failure={failure} source={source} browser={browser}>
          {failure.code === "token" && (
            <button type="button" onClick={onToken} className="cursor-pointer underline">
              Enter the access token
            </button>
          )}
        </Message>
      );
  }
}

/** Shown before the browser asks for the camera. */
function Privacy({ title, host }: { readonly title: string; readonly host: string }) {
  return (
    <div className="max-w-md">
      <svg
        viewBox="0 0 48 48"
        aria-hidden="true"
        className="mx-auto mb-4 hidden size-12 sm:block opacity-70"
        fill="none"
        stroke="currentColor"
        strokeWidth="2.5"
        strokeLinecap="round"
      >
        <path d="M4 14V8a4 4 0 0 1 4-4h6M34 4h6a4 4 0 0 1 4 4v6M44 34v6a4 4 0 0 1-4 4h-6M14 44H8a4 4 0 0 1-4-4v-6" />
        <circle cx="24" cy="19" r="6" />
        <path d="M12 36c1.500-6 6-9 12-9s10.500 3 12 9" />
      </svg>
      <p className="text-lg font-semibold">{title}</p>
      <p className="mt-1">Press Start check, then show your own face, or share a window with someone else&apos;s, such as a call.</p>
      <p className="mt-2">
        The video is sent to {host}, analysed on this server, not kept, and comes back with a badge on each face. Sound is not sent. The
        server keeps a record of the check, without pictures.
      </p>
    </div>
  );
}
