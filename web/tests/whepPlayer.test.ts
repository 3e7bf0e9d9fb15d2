import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MAX_RECONNECTS } from "../src/stream/backoff";
import { StreamFailure } from "../src/stream/failure";
import { WhepPlayer } from "../src/stream/whepPlayer";
import { FakePeer } from "./fakes";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

function stage() {
  const peers: FakePeer[] = [];
  const refusals: StreamFailure[] = [];
  const offers: string[] = [];
  const ended: string[] = [];
  const http = {
    offer: (path: string) => {
      const refusal = refusals.shift();
      if (refusal !== undefined) return Promise.reject(refusal);
      offers.push(path);
      return Promise.resolve({ location: `${path}/${offers.length}`, sdp: "answer" });
    },
    end: (location: string) => {
      ended.push(location);
      return Promise.resolve();
    },
  };
  const createPeer = (configuration: RTCConfiguration) => {
    const peer = new FakePeer(configuration);
    peers.push(peer);
    return peer as unknown as RTCPeerConnection;
  };
  const player = new WhepPlayer({ http, iceServers: () => Promise.resolve([]), createPeer, random: () => 0.5 });
  const states: string[] = [];
  player.subscribe(() => {
    const { state } = player.snapshot();
    if (state !== states.at(-1)) states.push(state);
  });
  return { player, peers, refusals, offers, ended, states };
}

async function playing(of = stage()) {
  of.player.play("door");
  await pass(0);
  of.peers.at(-1)?.become("connected");
  await pass(0);
  return of;
}

describe("WhepPlayer", () => {
  it("goes through connecting, playing, idle, and ends the session on both sides", async () => {
    const { player, peers, offers, ended, states } = await playing();
    expect(offers).toEqual(["/whep/door"]);
    expect(peers[0]?.directions).toEqual(["recvonly"]);
    player.stop();
    await pass(0);
    expect(states).toEqual(["connecting", "playing", "idle"]);
    expect(ended).toEqual(["/whep/door/1"]);
    expect(peers[0]?.closed).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("plays one camera at a time", async () => {
    const { player, peers, ended, offers } = await playing();
    player.play("gate");
    await pass(0);
    peers.at(-1)?.become("connected");
    await pass(0);
    expect(player.snapshot()).toMatchObject({ state: "playing", camera: "gate" });
    expect(offers).toEqual(["/whep/door", "/whep/gate"]);
    expect(ended).toEqual(["/whep/door/1"]);
    expect(peers.map((peer) => peer.closed)).toEqual([true, false]);
    player.stop();
  });

  it("leaves no session when stopped while the server is answering", async () => {
    const { player, peers, ended } = stage();
    player.play("door");
    player.stop();
    await pass(0);
    player.play("door");
    await pass(0);
    player.stop();
    await pass(0);
    expect(peers.every((peer) => peer.closed)).toBe(true);
    expect(ended).toHaveLength(1);
    expect(player.snapshot().state).toBe("idle");
  });

  it("reconnects when the connection is lost", async () => {
    const { player, peers, states } = await playing();
    peers[0]?.become("failed");
    await pass(0);
    expect(player.snapshot()).toMatchObject({ state: "waiting", failure: { code: "connection-lost" } });
    await pass(600);
    peers.at(-1)?.become("connected");
    await pass(0);
    expect(states).toEqual(["connecting", "playing", "waiting", "connecting", "playing"]);
    player.stop();
  });

  it("waits for a place, and eventually gives up", async () => {
    const of = stage();
    for (let index = 0; index < 20; index += 1) of.refusals.push(new StreamFailure("server-full", "too many viewers", 2));
    of.player.play("door");
    await pass(1000);
    expect(of.player.snapshot().state).toBe("waiting");
    await pass(60_000);
    expect(of.player.snapshot()).toMatchObject({ state: "failed", failure: { code: "server-full" } });
    expect(of.peers).toHaveLength(MAX_RECONNECTS + 1);
  });

  it("gives up if no attempt connects, however long each one takes", async () => {
    const of = stage();
    of.player.play("door");
    await pass(600_000);
    expect(of.player.snapshot()).toMatchObject({ state: "failed", failure: { code: "connection-lost" } });
    expect(of.peers).toHaveLength(MAX_RECONNECTS + 1);
  });

  it("does not retry what the server refuses", async () => {
    const of = stage();
    of.refusals.push(new StreamFailure("server-error", "the camera is stopped"));
    of.player.play("door");
    await pass(60_000);
    expect(of.player.snapshot()).toMatchObject({ state: "failed", camera: "door" });
    expect(of.peers).toHaveLength(1);
    expect(of.peers[0]?.closed).toBe(true);
  });
});
