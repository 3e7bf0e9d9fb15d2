import { describe, expect, it } from "vitest";
import { virtualCamera } from "../src/stream/virtualCamera";

describe("virtualCamera", () => {
  it.each([
    ["OBS Virtual Camera", "OBS Studio"],
    ["OBS-Camera", "OBS Studio"],
    ["ManyCam Virtual Webcam", "ManyCam"],
    ["DeepFaceLive Camera", "DeepFaceLive"],
    ["Snap Camera", "Snap Camera"],
    ["XSplit VCam", "XSplit"],
    ["mmhmm Camera", "Airtime"],
    ["NVIDIA Broadcast", "NVIDIA Broadcast"],
    ["Dummy video device (0x0000)", "v4l2loopback"],
    ["Unity Video Capture", "UnityCapture"],
    ["e2eSoft iVCam virtual", "a virtual camera"],
  ])("tells %s by its name", (label, program) => {
    expect(virtualCamera(label)).toBe(program);
  });

  it.each([
    "",
    "Integrated Camera (04f2:b6d9)",
    "FaceTime HD Camera",
    "Logitech BRIO",
    "Jobs' iPhone Camera",
    "fake_device_0",
    "OBSBOT Tiny 2",
  ])("says nothing of %j", (label) => {
    expect(virtualCamera(label)).toBeNull();
  });
});
