/** Why a check or a view cannot continue, as one of ten codes for which the page has texts. */

export const FAILURE_CODES = [
  "permission-denied",
  "no-camera",
  "camera-busy",
  "server-full",
  "connection-lost",
  "insecure",
  "token",
  "not-found",
  "unsupported",
  "server-error",
] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

export class StreamFailure extends Error {
  override readonly name = "StreamFailure";

  /**
   * @param code selects the page's message
   * @param detail what the browser or the server said, for people
   * @param retryAfterS seconds to wait before the next attempt; null if the server did not say
   */
  constructor(
    readonly code: FailureCode,
    readonly detail: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(`${code}: ${detail}`);
  }
}

/** Converts an error of getUserMedia or getDisplayMedia (Media Capture and Streams, section 10.2). */
export function mediaFailure(error: unknown): StreamFailure {
  const name = error instanceof Error ? error.name : "";
  const detail = error instanceof Error ? error.message : String(error);
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return new StreamFailure("permission-denied", detail);
    case "NotFoundError":
    case "OverconstrainedError":
      return new StreamFailure("no-camera", detail);
    case "NotReadableError":
    case "AbortError":
      return new StreamFailure("camera-busy", detail);
    default:
      return new StreamFailure("unsupported", detail);
  }
}

/** Converts any error during the start of a live check. */
export function asFailure(error: unknown): StreamFailure {
  if (error instanceof StreamFailure) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new StreamFailure("server-error", detail);
}
