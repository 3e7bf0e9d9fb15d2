import { describe, expect, it } from "vitest";
import { body } from "../src/stream/wire";
import { wireCamera } from "./fakeCameras";

const read = (change: Record<string, unknown>) => body("CameraBody")(wireCamera(change), "camera");

describe("a response body", () => {
  it("has the page's names, and only documented fields", () => {
    const camera = read({ retry_at_s: 5, unheard_of: 1 });
    expect(camera).toMatchObject({ retryAtS: 5, settings: { keyframesOnlyWhenIdle: false }, counts: { receivedBytes: 1000 } });
    expect(Object.keys(camera)).not.toContain("unheardOf");
  });

  it.each([
    [{ name: 5 }, "camera.name: expected a text, received 5"],
    [
      { state: "lively" },
      'camera.state: expected one of connecting, live, stalled, backing_off, refused, stopped, lost_node, received "lively"',
    ],
    [{ since_s: undefined }, "camera.since_s: expected a number, received undefined"],
    [{ viewers: 1.5 }, "camera.viewers: expected a whole number, received 1.5"],
    [{ retry_at_s: "soon" }, 'camera.retry_at_s: expected a number, received "soon"'],
    [{ settings: [] }, "camera.settings: expected an object, received a list of 0"],
    [{ verdict: { state: "real" } }, "camera.verdict.reason: expected a text, received undefined"],
  ])("%o is rejected with its path", (change, complaint) => {
    expect(() => read(change)).toThrow(complaint);
  });

  it("is rejected outside its bounds", () => {
    const thresholds = { fake_enter: 1.5, fake_leave: 0.6, real_enter: 0.2, real_leave: 0.4 };
    expect(() => body("ThresholdsBody")(thresholds, "thresholds")).toThrow("thresholds.fake_enter: expected at most 1, received 1.5");
  });

  it("keeps the order of lists", () => {
    expect(body("ReadyBody")({ ready: false, reasons: ["a", "b"] }, "ready")).toEqual({ ready: false, reasons: ["a", "b"] });
  });
});
