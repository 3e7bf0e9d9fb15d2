import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CameraResults } from "../src/stream/cameraResults";
import { FakeCameraServer, FakeFeed, held, httpOf, servicesOf, wireCamera, wireEvent } from "./fakeCameras";
import { wireResult } from "./fakes";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

async function watched(server = new FakeCameraServer()) {
  const { fleet } = servicesOf(httpOf(server)).services;
  const told = vi.fn();
  const leave = fleet.subscribe(told);
  await pass(300);
  return { server, fleet, told, leave, names: () => fleet.snapshot().cameras?.map(({ camera }) => camera.name) };
}

describe("Fleet", () => {
  it("uses no connection without subscribers, and one with any number", async () => {
    const server = new FakeCameraServer();
    const { fleet } = servicesOf(httpOf(server)).services;
    await pass(1000);
    expect(server.asked).toEqual([]);
    const leave = [fleet.subscribe(vi.fn()), fleet.subscribe(vi.fn())];
    await pass(300);
    expect(server.asked.map(({ path }) => path)).toEqual(["/api/streams/events", "/api/cameras"]);
    leave.forEach((one) => {
      one();
    });
    await pass(3000);
    expect(fleet.snapshot().feed).toBe("closed");
  });

  it("reports many cameras at once", async () => {
    const { server, told, names, leave } = await watched();
    told.mockClear();
    for (let index = 0; index < 50; index += 1) server.feed.send("camera", wireCamera({ name: `c${index + 10}` }));
    await pass(300);
    expect(told).toHaveBeenCalledTimes(1);
    expect(names()).toHaveLength(51);
    leave();
  });

  it("drops removed cameras, even those removed during a lost connection", async () => {
    const { server, names, leave } = await watched();
    server.feed.send("camera", wireCamera({ name: "gate" }));
    await pass(300);
    expect(names()).toEqual(["door", "gate"]);
    server.feed.send("removed", { name: "gate" });
    await pass(300);
    expect(names()).toEqual(["door"]);
    const next = new FakeFeed();
    server.on("GET /api/streams/events", () => next.response());
    server.json("GET /api/cameras", { items: [] });
    server.feed.end();
    await pass(2000);
    expect(names()).toEqual([]);
    leave();
  });

  it("prefers what the feed reported after the list was requested to the list", async () => {
    const server = new FakeCameraServer();
    const list = held();
    server.on("GET /api/cameras", () => list.response());
    const { names, fleet, leave } = await watched(server);
    server.feed.send("camera", wireCamera({ name: "door", title: "New title" }));
    server.feed.send("camera", wireCamera({ name: "gate" }));
    server.feed.send("camera", wireCamera({ name: "hall" }));
    server.feed.send("removed", { name: "hall" });
    await pass(300);
    list.answer({ items: [wireCamera(), wireCamera({ name: "hall" })] });
    await pass(300);
    expect(names()).toEqual(["door", "gate"]);
    expect(fleet.snapshot().cameras?.[0]?.camera.title).toBe("New title");
    leave();
  });

  it("delivers events, and ignores messages that violate the protocol", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const { server, fleet, leave } = await watched();
    const heard = vi.fn();
    const deafen = fleet.onEvent(heard);
    server.feed.send("event", { id: 5 });
    server.feed.send("event", wireEvent());
    await pass(0);
    deafen();
    server.feed.send("event", wireEvent());
    await pass(0);
    expect(heard).toHaveBeenCalledTimes(1);
    expect(heard.mock.calls[0]?.[0]).toMatchObject({ camera: "door", peak: 0.97 });
    expect(warn).toHaveBeenCalledTimes(1);
    leave();
  });

  it("keeps its data, marked as old, when the server is unreachable", async () => {
    const { server, fleet, names, leave } = await watched();
    server.problem("GET /api/streams/events", 500, "away");
    server.feed.end();
    await pass(2000);
    expect(names()).toEqual(["door"]);
    expect(fleet.snapshot().feed).not.toBe("open");
    expect(fleet.snapshot().failure?.detail).toBe("away");
    leave();
  });
});

describe("CameraResults", () => {
  it("holds the newest result until it is stale", async () => {
    const server = new FakeCameraServer();
    const results = new CameraResults(httpOf(server), "door", 1, () => 0.5);
    const leave = results.subscribe(vi.fn());
    await pass(0);
    server.results.send("result", wireResult({ sequence: 7 }));
    await pass(0);
    expect(results.snapshot()).toMatchObject({ feed: "open", stale: false, result: { sequence: 7 } });
    await pass(1100);
    expect(results.snapshot().stale).toBe(true);
    server.results.send("state", { state: "live", reason: "25 fps", at_s: 1 });
    await pass(0);
    expect(results.snapshot().result).not.toBeNull();
    server.results.send("state", { state: "stalled", reason: "no frame came for 5 s", at_s: 2 });
    await pass(0);
    expect(results.snapshot()).toMatchObject({ stale: false, result: null });
    leave();
    await pass(0);
    expect(results.snapshot().feed).toBe("closed");
    expect(vi.getTimerCount()).toBe(0);
  });
});
