/**
 * Opens the source of a check as a MediaStream: a camera, or a shared window, tab or screen (to check the other side of
 * a call). The caller closes it with `closeSource`.
 */

import { mediaFailure, StreamFailure } from "./failure";

export type SourceChoice =
  { readonly kind: "camera"; /** null: the browser's default camera */ readonly deviceId: string | null } | { readonly kind: "screen" };

export interface Camera {
  readonly deviceId: string;
  readonly label: string;
}

/** The part of MediaDevices that is used. Absent unless the page is served from localhost or over https. */
export type Media = Pick<MediaDevices, "getUserMedia" | "enumerateDevices" | "addEventListener" | "removeEventListener"> &
  Partial<Pick<MediaDevices, "getDisplayMedia">>;

// The server's figures are stated for 640x480 at 30 fps (docs/performance.md).
const CAMERA_VIDEO: MediaTrackConstraints = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 30 } };
// Faces in a shared call are small: full resolution; the lower frame rate is enough for 10 analyses per second.
const SCREEN_VIDEO: MediaTrackConstraints = { width: { max: 1920 }, height: { max: 1080 }, frameRate: { ideal: 15, max: 30 } };

/** @throws {StreamFailure} with the code of the message that says what to do */
export async function openSource(choice: SourceChoice, media: Media | undefined, secure: boolean): Promise<MediaStream> {
  if (!secure) throw new StreamFailure("insecure", "browsers open a camera or a screen only on localhost or over https");
  if (media === undefined) throw new StreamFailure("unsupported", "this browser offers no camera to web pages");
  try {
    if (choice.kind === "camera") {
      const device = choice.deviceId === null ? {} : { deviceId: { exact: choice.deviceId } };
      return await media.getUserMedia({ video: { ...CAMERA_VIDEO, ...device }, audio: false });
    }
    if (media.getDisplayMedia === undefined) throw new StreamFailure("unsupported", "this browser cannot share a window or a screen");
    return await media.getDisplayMedia({ video: SCREEN_VIDEO, audio: false });
  } catch (error) {
    throw error instanceof StreamFailure ? error : mediaFailure(error);
  }
}

export function closeSource(source: MediaStream): void {
  for (const track of source.getTracks()) track.stop();
}

/** The cameras whose names are known; none before the user has allowed a camera once. */
export async function listCameras(media: Media): Promise<readonly Camera[]> {
  const devices = await media.enumerateDevices();
  return devices
    .filter((device) => device.kind === "videoinput" && device.deviceId !== "")
    .map((device, index) => ({ deviceId: device.deviceId, label: device.label || `Camera ${index + 1}` }));
}
