/** Tells from a camera's name whether software makes its picture: a hint for a person, and never a part of the verdict. */

/** Names that virtual cameras give themselves on Windows, macOS and Linux, and the program that each belongs to. */
const PROGRAMS: readonly (readonly [pattern: RegExp, program: string])[] = [
  [/\bobs\b/i, "OBS Studio"],
  [/manycam/i, "ManyCam"],
  [/deep ?face ?live/i, "DeepFaceLive"],
  [/deep-?live-?cam/i, "Deep-Live-Cam"],
  [/swapface/i, "SwapFace"],
  [/\bavatarify\b/i, "Avatarify"],
  [/snap ?camera|lens studio/i, "Snap Camera"],
  [/xsplit/i, "XSplit"],
  [/splitcam/i, "SplitCam"],
  [/\bmmhmm\b|\bairtime\b/i, "Airtime"],
  [/youcam/i, "YouCam"],
  [/nvidia broadcast/i, "NVIDIA Broadcast"],
  [/camtwist/i, "CamTwist"],
  [/webcamoid|akvcam/i, "Webcamoid"],
  [/\bndi\b/i, "NDI"],
  [/droidcam/i, "DroidCam"],
  [/\biriun\b/i, "Iriun"],
  [/epoccam/i, "EpocCam"],
  [/unity ?(video|cam)/i, "UnityCapture"],
  [/v4l2 ?loopback|dummy video device/i, "v4l2loopback"],
  [/virtual|loopback/i, "a virtual camera"],
];

/** The program behind a virtual camera of that name; null where the name tells of none, which does not mean that there is none. */
export function virtualCamera(label: string): string | null {
  return PROGRAMS.find(([pattern]) => pattern.test(label))?.[1] ?? null;
}
