/** Texts of the page: a word and a sentence for a verdict, and a failure with its cure. Pure. */

import type { StreamFailure } from "./stream/failure";
import type { StreamSnapshot } from "./stream/checkStream";
import type { VerdictState } from "./stream/messages";

/** States that the badge can show: the server's, and those that only the page can know. */
export type ShownState = VerdictState | "stale" | "unavailable" | "offline" | "idle" | "frozen" | "looped";

export const WORDS: Readonly<Record<ShownState, string>> = {
  real: "Real",
  uncertain: "Uncertain",
  fake: "Fake",
  gathering: "Gathering",
  no_face: "No face",
  stale: "Stale",
  unavailable: "Unavailable",
  offline: "Offline",
  idle: "Idle",
  frozen: "Frozen",
  looped: "Looped",
};

/** What the answer is worth, shown before there is one. */
const WORTH = "After a few seconds you see Real, Fake or Uncertain. It is a hint, not proof: it can be wrong in either direction.";

export interface ShownVerdict {
  readonly state: ShownState;
  /** Replaces the state's own word. */
  readonly word?: string;
  /** One sentence that begins with the word: "Gathering: 5 of 12 usable frames". */
  readonly reason: string;
  readonly fakeProbability: number | null;
  readonly admitted: number;
  readonly needed: number | null;
}

export function shownVerdict(snapshot: StreamSnapshot): ShownVerdict {
  const { state, result } = snapshot;
  const evidence = { fakeProbability: null, admitted: 0, needed: snapshot.hello?.needed ?? null };
  if (state !== "live" && state !== "reconnecting") return { state: "idle", reason: WORTH, ...evidence };
  if (state === "reconnecting" && result === null) return { state: "idle", reason: "Not connected to the server.", ...evidence };
  if (snapshot.stale) {
    const last = result === null ? "no result yet" : `no new result; the last one was "${WORDS[result.state].toLowerCase()}"`;
    return { state: "stale", reason: sentence("stale", last), ...evidence };
  }
  if (result === null) return { state: "gathering", reason: sentence("gathering", "waiting for the first result"), ...evidence };
  if (result.error !== null) return { state: "unavailable", reason: sentence("unavailable", result.error), ...evidence };
  const { fakeProbability, admitted, needed } = result;
  return { state: result.state, reason: sentence(result.state, result.reason), fakeProbability, admitted, needed };
}

/** "Word: reason", without repeating the word. */
export function sentence(state: ShownState, reason: string): string {
  const word = WORDS[state];
  return reason.toLowerCase().startsWith(word.toLowerCase()) ? capital(reason) : `${word}: ${reason}`;
}

export type Browser = "chrome" | "firefox" | "safari" | "other";

/** The browser whose menus are described. Edge, Opera and Brave have Chrome's. */
export function browserOf(userAgent: string): Browser {
  if (/Firefox|FxiOS/.test(userAgent)) return "firefox";
  if (/Chrome|Chromium|CriOS/.test(userAgent)) return "chrome";
  return userAgent.includes("Safari") ? "safari" : "other";
}

export interface FailureWords {
  readonly title: string;
  readonly text: string;
  readonly steps: readonly string[];
}

const CAMERA_STEPS: Readonly<Record<Browser, readonly string[]>> = {
  chrome: ["Click the icon left of the address.", "Set Camera to Allow.", "Press Start check again."],
  firefox: ["Click the crossed-out camera left of the address.", "Remove the block on the camera.", "Press Start check again."],
  safari: [
    "Open Safari, Settings for This Website (on a phone: the page menu in the address bar).",
    "Set Camera to Allow.",
    "Press Start check again.",
  ],
  other: ["Open this site's permissions in the browser.", "Allow the camera.", "Press Start check again."],
};

/** What happened, and what to do in this browser. */
export function failureWords(failure: StreamFailure, source: StreamSnapshot["source"], browser: Browser): FailureWords {
  const plain = (title: string, text: string): FailureWords => ({ title, text, steps: [] });
  switch (failure.code) {
    case "permission-denied":
      if (source === "screen") {
        return plain(
          "Nothing was shared",
          "The selection was closed, or the system does not allow this browser to record the screen. Press Start check to choose again.",
        );
      }
      return {
        title: "Camera access is blocked",
        text: "The browser blocks the camera for this page. To allow it:",
        steps: CAMERA_STEPS[browser],
      };
    case "no-camera":
      return plain("No camera found", "Connect a camera, or choose a shared window, tab or screen as the source, and start again.");
    case "camera-busy":
      return plain(
        "The camera is busy",
        "Another program or tab seems to be using it. Close it, or choose another source, and start again.",
      );
    case "server-full":
      return plain("The server is busy", asSentence(failure.detail));
    case "connection-lost":
      return plain("The connection was lost", `${asSentence(failure.detail)} Check the network, and whether the server is running.`);
    case "insecure":
      return plain(
        "This address cannot use a camera",
        "Browsers open a camera only on localhost or over https. Open the page as http://localhost on the server itself, or give the server a certificate.",
      );
    case "token":
      return plain("An access token is needed", "This server requires an access token.");
    case "not-found":
      return plain("Not found", `${asSentence(failure.detail)} It may have been removed.`);
    case "unsupported":
      return plain(
        "This browser is not supported",
        `${asSentence(failure.detail)} Use a current version of Chrome, Edge, Firefox or Safari.`,
      );
    case "server-error":
      return plain("The server refused", asSentence(failure.detail));
  }
}

export function asSentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === "" || /[.!?]$/.test(trimmed) ? capital(trimmed) : `${capital(trimmed)}.`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
