import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EventFeed, type FeedState } from "../src/stream/eventFeed";
import { FakeCameraServer, FakeFeed, httpOf } from "./fakeCameras";

const PATH = "/api/streams/events";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

function follow(server = new FakeCameraServer()) {
  const messages: [string, unknown][] = [];
  const states: FeedState[] = [];
  const feed = new EventFeed(
    httpOf(server),
    PATH,
    {
      onMessage: (event, data) => messages.push([event, data]),
      onState: (state) => states.push(state),
    },
    () => 0.5,
  );
  return { server, feed, messages, states };
}

describe("EventFeed", () => {
  it("goes through connecting, open, closed, and delivers events", async () => {
    const { server, feed, messages, states } = follow();
    feed.open();
    await pass(0);
    server.feed.send("camera", { name: "door" });
    await pass(0);
    feed.close();
    expect(messages).toEqual([["camera", { name: "door" }]]);
    expect(states).toEqual(["connecting", "open", "closed"]);
  });

  it("sends the access token, which EventSource cannot", async () => {
    sessionStorage.setItem("stream-detect.token", "secret");
    const { server, feed } = follow();
    feed.open();
    await pass(0);
    feed.close();
    sessionStorage.clear();
    expect(server.asked[0]?.headers.get("Authorization")).toBe("Bearer secret");
  });

  it("reconnects when the server ends it, with increasing pauses, and never gives up", async () => {
    const server = new FakeCameraServer();
    server.problem(`GET ${PATH}`, 500, "away");
    const { feed, states } = follow(server);
    feed.open();
    await pass(10 * 60_000);
    expect(server.asked.length).toBeGreaterThan(50);
    expect(server.asked.length).toBeLessThan(80);
    const back = new FakeFeed();
    server.on(`GET ${PATH}`, () => back.response());
    await pass(10_000);
    expect(states.at(-1)).toBe("open");
    back.end();
    await pass(0);
    expect(states.at(-1)).toBe("waiting");
    feed.close();
    await pass(60_000);
    expect(states.at(-1)).toBe("closed");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("treats silence as a loss", async () => {
    const { feed, states } = follow();
    feed.open();
    await pass(39_000);
    expect(states.at(-1)).toBe("open");
    await pass(1_200);
    expect(states).toEqual(["connecting", "open", "waiting"]);
    feed.close();
  });

  it.each([
    [401, "token"],
    [404, "not-found"],
  ])("stops after status %d", async (status) => {
    const server = new FakeCameraServer();
    server.problem(`GET ${PATH}`, status, "no");
    const { feed, states } = follow(server);
    feed.open();
    await pass(60_000);
    expect(states).toEqual(["connecting", "refused"]);
    expect(server.asked).toHaveLength(1);
    feed.close();
  });

  it("joins messages from any chunks, and takes an event without a name as a message", async () => {
    const { server, feed, messages } = follow();
    feed.open();
    await pass(0);
    for (const piece of [": still here\r", '\nevent: camera\ndata: {"a":', "\ndata: 1}\n", "\nevent: ping\n\n", "data: 2\n\n"]) {
      server.feed.sendText(piece);
      await pass(0);
    }
    feed.close();
    expect(messages).toEqual([
      ["camera", { a: 1 }],
      ["message", 2],
    ]);
  });

  it("disconnects from a server whose message never ends", async () => {
    const { server, feed, states } = follow();
    feed.open();
    await pass(0);
    for (let index = 0; index < 30; index += 1) server.feed.sendText("x".repeat(50_000));
    await pass(0);
    expect(states).toEqual(["connecting", "open", "waiting"]);
    feed.close();
  });
});
