/** Routes for cameras, events and alerts (docs/protocol.md, "Cameras"). Failures are StreamFailure. */

import {
  readCamera,
  readCameras,
  readScores,
  readStates,
  readTested,
  wireForm,
  type Camera,
  type CameraForm,
  type Scores,
  type StateEntry,
  type TestedConnection,
} from "./cameras";
import {
  filterQuery,
  readNotifiers,
  readEvent,
  readEvents,
  readTestedAlert,
  type Notifier,
  type CameraEvent,
  type EventFilter,
  type EventPage,
  type TestedAlert,
} from "./events";
import type { Http } from "./http";

/** The server tries to open a camera for at most ten seconds. */
const TEST_TIMEOUT_MS = 20_000;
const CLIP_TIMEOUT_MS = 120_000;
/** Events per page. */
export const PAGE_LENGTH = 50;

export class CameraServer {
  constructor(private readonly http: Http) {}

  async cameras(): Promise<readonly Camera[]> {
    return this.http.read("/api/cameras", readCameras);
  }

  async add(form: CameraForm): Promise<Camera> {
    return this.http.send("POST", "/api/cameras", wireForm(form), readCamera);
  }

  async change(form: CameraForm): Promise<Camera> {
    return this.http.send("PUT", cameraPath(form.name), wireForm(form), readCamera);
  }

  async remove(name: string): Promise<void> {
    await this.http.request(cameraPath(name), { method: "DELETE" });
  }

  async start(name: string): Promise<Camera> {
    return this.http.send("POST", cameraPath(name, "/start"), undefined, readCamera);
  }

  async stop(name: string): Promise<Camera> {
    return this.http.send("POST", cameraPath(name, "/stop"), undefined, readCamera);
  }

  /** Starts a challenge; its state is in the camera's results. */
  async startChallenge(name: string): Promise<void> {
    await this.http.request(cameraPath(name, "/challenge"), { method: "POST" });
  }

  async stopChallenge(name: string): Promise<void> {
    await this.http.request(cameraPath(name, "/challenge"), { method: "DELETE" });
  }

  async testConnection(form: CameraForm, signal: AbortSignal): Promise<TestedConnection> {
    const { name, ...others } = wireForm(form);
    // A new camera may have no name yet; its address can be tested without one.
    const body = name === "" ? others : { name, ...others };
    return this.http.send("POST", "/api/cameras/test-connection", body, readTested, { signal, timeoutMs: TEST_TIMEOUT_MS });
  }

  async scores(name: string, fromS: number, toS: number): Promise<Scores> {
    return this.http.read(cameraPath(name, `/scores?from=${fromS}&to=${toS}`), readScores);
  }

  async states(name: string, fromS: number, toS: number): Promise<readonly StateEntry[]> {
    return this.http.read(cameraPath(name, `/states?from=${fromS}&to=${toS}`), readStates);
  }

  async events(filter: EventFilter, cursor: string | null = null, limit = PAGE_LENGTH): Promise<EventPage> {
    const query = filterQuery(filter);
    query.set("limit", String(limit));
    if (cursor !== null) query.set("cursor", cursor);
    return this.http.read(`/api/events?${query}`, readEvents);
  }

  async event(id: string): Promise<CameraEvent> {
    return this.http.read(`/api/events/${encodeURIComponent(id)}`, readEvent);
  }

  async deleteEvent(id: string): Promise<void> {
    await this.http.request(`/api/events/${encodeURIComponent(id)}`, { method: "DELETE" });
  }

  async notifiers(): Promise<readonly Notifier[]> {
    return this.http.read("/api/alerts", readNotifiers);
  }

  async testAlert(name: string): Promise<TestedAlert> {
    return this.http.send("POST", `/api/alerts/${encodeURIComponent(name)}/test`, undefined, readTestedAlert, {
      timeoutMs: TEST_TIMEOUT_MS,
    });
  }

  /** A picture or a clip, which elements could not load because they cannot send the access token. */
  async file(path: string, signal: AbortSignal): Promise<Blob> {
    const response = await this.http.request(path, { signal, timeoutMs: CLIP_TIMEOUT_MS });
    return response.blob();
  }
}

export function cameraPath(name: string, rest = ""): string {
  return `/api/cameras/${encodeURIComponent(name)}${rest}`;
}

export function snapshotPath(name: string, widthPx: number): string {
  return cameraPath(name, `/snapshot.jpg?width=${widthPx}`);
}
