import { describe, expect, it, vi } from "vitest";
import { AccessToken } from "../src/stream/accessToken";
import { Http } from "../src/stream/http";
import { Server } from "../src/stream/server";
import { WIRE_STATUS } from "./fakes";

const ORIGIN = "http://127.0.0.1:8080";

function serverThat(answer: Response | Error, token: string | null = null) {
  const fetch = vi.fn<typeof globalThis.fetch>(() => (answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)));
  const kept = new AccessToken(() => sessionStorage);
  sessionStorage.clear();
  if (token !== null) kept.keep(token);
  return { fetch, server: new Server(new Http(kept, fetch, ORIGIN)) };
}

const json = (body: unknown, status = 200, headers: Record<string, string> = {}) => new Response(JSON.stringify(body), { status, headers });

describe("Server", () => {
  it("reads the status, without inventing ICE credentials", async () => {
    const { server } = serverThat(json(WIRE_STATUS));
    const status = await server.status();
    expect(status).toMatchObject({ version: "0.1.0", needed: 12, model: { limits: ["Blur misleads it."] } });
    expect(status.reviewUrls).toBe(false);
    expect(status.iceServers).toEqual([{ urls: ["turn:a"], username: "u", credential: "c" }, { urls: ["stun:b"] }]);
  });

  it("sends the stored token", async () => {
    const { server, fetch } = serverThat(json(WIRE_STATUS), "secret");
    await server.status();
    expect(fetch.mock.calls[0]?.[1]?.headers).toMatchObject({ Authorization: "Bearer secret" });
  });

  it("offers SDP and returns the answer with the session's path", async () => {
    const { server, fetch } = serverThat(new Response("v=0", { status: 201, headers: { Location: "/webrtc/check/a1" } }));
    expect(await server.offer("v=0 offer", "")).toEqual({ location: "/webrtc/check/a1", sdp: "v=0" });
    expect(fetch.mock.calls[0]?.[1]).toMatchObject({ method: "POST", body: "v=0 offer", headers: { "Content-Type": "application/sdp" } });
  });

  it("sends the camera's name, truncated to the server's limit", async () => {
    const { server, fetch } = serverThat(new Response("v=0", { status: 201, headers: { Location: "/webrtc/check/a1" } }));
    expect(await server.offer("v=0", "OBS & Co " + "x".repeat(200))).toEqual({ location: "/webrtc/check/a1", sdp: "v=0" });
    expect(fetch.mock.calls[0]?.[0]).toBe(`${ORIGIN}/webrtc/check?source_label=OBS+%26+Co+${"x".repeat(119)}`);
  });

  it("rejects a Location on another host", async () => {
    const { server } = serverThat(new Response("v=0", { status: 201, headers: { Location: "https://else.where/webrtc/check/a1" } }));
    await expect(server.offer("v=0", "")).rejects.toMatchObject({ code: "server-error" });
  });

  it("ends a session in a request that outlives the page, and ignores failures", async () => {
    const { server, fetch } = serverThat(new TypeError("gone"));
    await server.end("/webrtc/check/a1");
    expect(fetch.mock.calls[0]).toMatchObject([`${ORIGIN}/webrtc/check/a1`, { method: "DELETE", keepalive: true }]);
  });

  it.each([
    [json({ detail: "token?" }, 401), { code: "token", detail: "token?" }],
    [json({ detail: "all taken" }, 503, { "Retry-After": "7" }), { code: "server-full", detail: "all taken", retryAfterS: 7 }],
    [json({ detail: "all taken" }, 503), { code: "server-full", retryAfterS: 5 }],
    [json({ detail: "no common codec" }, 422), { code: "server-error", detail: "no common codec" }],
    [new Response("<html>", { status: 502 }), { code: "server-error", detail: "the server answered 502" }],
    [new TypeError("Failed to fetch"), { code: "connection-lost", detail: "the server does not answer" }],
    [new DOMException("signal timed out", "TimeoutError"), { code: "connection-lost", detail: "the server did not answer in time" }],
  ])("converts a refusal to its code: %#", async (answer, failure) => {
    const { server } = serverThat(answer);
    await expect(server.offer("v=0", "")).rejects.toMatchObject(failure);
  });

  it("reports a status of another shape", async () => {
    const { server } = serverThat(json({ version: 1 }));
    await expect(server.status()).rejects.toMatchObject({ code: "server-error" });
  });
});

describe("AccessToken", () => {
  it("is kept in memory if storage is blocked", () => {
    const token = new AccessToken(() => {
      throw new DOMException("forbidden", "SecurityError");
    });
    expect(token.headers()).toEqual({});
    token.keep("secret");
    expect(token.headers()).toEqual({ Authorization: "Bearer secret" });
  });
});
