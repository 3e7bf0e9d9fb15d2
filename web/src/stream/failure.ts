/** Why a check or a view cannot go on, in one of ten codes that the page has words for. */

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
   * @param code which of the page's messages applies
   * @param detail what the browser or the server said, for a person
   * @param retryAfterS when trying again makes sense, in seconds; null when the server did not say
   */
  constructor(
    readonly code: FailureCode,
    readonly detail: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(`${code}: ${detail}`);
  }
}

/** What getUserMedia or getDisplayMedia threw (Media Capture and Streams, section 10.2), as a failure. */
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

/** Anything thrown on the way to a live check, as a failure. */
export function asFailure(error: unknown): StreamFailure {
  if (error instanceof StreamFailure) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new StreamFailure("server-error", detail);
}
