import { beforeEach, describe, expect, it, vi } from "vitest";
import { AccessToken } from "../src/stream/accessToken";
import type { Analysis } from "../src/stream/analyses";
import { SendingRate, Uploads } from "../src/stream/uploads";
import { wireAnalysis } from "./fakeAnalyses";
import { ORIGIN } from "./fakeCameras";

/** A request that the test moves on. */
class FakeRequest {
  readonly upload: { onprogress?: (event: { loaded: number; total: number }) => void; onload?: () => void } = {};
  readonly headers: Record<string, string> = {};
  status = 0;
  statusText = "";
  responseText = "";
  retryAfter: string | null = null;
  body: FormData | null = null;
  aborted = false;
  onload: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onabort: (() => void) | null = null;

  open(): void {
    return undefined;
  }
  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value;
  }
  getResponseHeader(): string | null {
    return this.retryAfter;
  }
  send(body: FormData): void {
    this.body = body;
  }
  abort(): void {
    this.aborted = true;
    this.onabort?.();
  }
  answer(status: number, body: unknown): void {
    this.status = status;
    this.responseText = JSON.stringify(body);
    this.onload?.();
  }
}

let requests: FakeRequest[];
let uploads: Uploads;
let told: Analysis[];
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const states = () => uploads.snapshot().map(({ file, state }) => `${file.name} ${state}`);
const file = (name: string) => new File(["0123456789"], name);
const sent = (index: number) => requests[index] ?? new FakeRequest();

beforeEach(() => {
  requests = [];
  told = [];
  sessionStorage.clear();
  uploads = new Uploads(
    new AccessToken(() => sessionStorage),
    () => {
      const request = new FakeRequest();
      requests.push(request);
      return request as unknown as XMLHttpRequest;
    },
    ORIGIN,
  );
  uploads.onAnalysis((analysis) => told.push(analysis));
});

describe("uploads", () => {
  it("are sent one after the other, with the models and the token", async () => {
    sessionStorage.setItem("stream-detect.token", "secret");
    uploads.add([file("a"), file("b")], ["meso4", "calm"]);
    expect(states()).toEqual(["a sending", "b waiting"]);
    expect(sent(0).headers.Authorization).toBe("Bearer secret");
    expect(sent(0).body?.getAll("model")).toEqual(["meso4", "calm"]);
    sent(0).upload.onload?.();
    expect(states()).toEqual(["a handing_over", "b waiting"]);
    sent(0).answer(202, { items: [wireAnalysis({ id: "1" })] });
    await settle();
    expect(told.map(({ id }) => id)).toEqual(["1"]);
    expect(states()).toEqual(["b sending"]);
  });

  it("show why they were refused, and can be retried", async () => {
    uploads.add([file("a"), file("b")], []);
    sent(0).answer(413, { type: "about:blank", title: "too long", status: 413, detail: "expected at most 5 bytes" });
    await settle();
    expect(states()).toEqual(["a failed", "b sending"]);
    expect(uploads.snapshot()[0]?.failure?.detail).toBe("expected at most 5 bytes");
    sent(1).onerror?.();
    await settle();
    expect(uploads.snapshot()[1]?.failure?.code).toBe("connection-lost");
    uploads.retry(1);
    expect(states()).toEqual(["a sending", "b failed"]);
  });

  it("say when to try again, if the server does", async () => {
    uploads.add([file("a")], []);
    sent(0).retryAfter = "10";
    sent(0).answer(503, { detail: "too many wait" });
    await settle();
    expect(uploads.snapshot()[0]?.failure).toMatchObject({ code: "server-full", retryAfterS: 10 });
  });

  it("can be aborted, and the next one starts", async () => {
    uploads.add([file("a"), file("b")], []);
    uploads.drop(1);
    expect(sent(0).aborted).toBe(true);
    await settle();
    expect(states()).toEqual(["b sending"]);
    uploads.drop(2);
    await settle();
    expect(states()).toEqual([]);
    expect(told).toEqual([]);
  });

  it("are all cancelled when the user signs out", async () => {
    uploads.add([file("a"), file("b")], []);
    uploads.clear();
    expect(sent(0).aborted).toBe(true);
    await settle();
    expect(states()).toEqual([]);
    expect(requests).toHaveLength(1);
    uploads.add([file("c")], []);
    expect(states()).toEqual(["c sending"]);
  });

  it("fail if the server does not answer in time after the last byte", async () => {
    vi.useFakeTimers();
    try {
      uploads.add([file("a"), file("b")], []);
      sent(0).upload.onload?.();
      await vi.advanceTimersByTimeAsync(899_000);
      expect(states()).toEqual(["a handing_over", "b waiting"]);
      await vi.advanceTimersByTimeAsync(2_000);
      expect(sent(0).aborted).toBe(true);
      expect(states()).toEqual(["a failed", "b sending"]);
      expect(uploads.snapshot()[0]?.failure?.detail).toContain("within 15 minutes");
    } finally {
      vi.useRealTimers();
    }
  });

  it("fail on an invalid response", async () => {
    uploads.add([file("a")], []);
    sent(0).answer(202, { items: [{}] });
    await settle();
    expect(states()).toEqual(["a failed"]);
  });

  it("report their progress", () => {
    uploads.add([file("a")], []);
    sent(0).upload.onprogress?.({ loaded: 4, total: 300 });
    expect(uploads.snapshot()[0]?.sentBytes).toBe(4);
  });
});

it("the upload rate gives the remaining time", () => {
  const rate = new SendingRate(0);
  expect(rate.etaS(0, 1000, 0)).toBeNull();
  expect(rate.etaS(100, 1000, 1000)).toBeCloseTo(9);
  for (let second = 2; second < 40; second += 1) rate.etaS(100 + 10 * (second - 1), 1000, second * 1000);
  expect(rate.etaS(490, 1000, 40_000)).toBeCloseTo(51, 0); // it has become slower
  expect(new SendingRate(0).etaS(0, 1000, 1000)).toBeNull();
});
