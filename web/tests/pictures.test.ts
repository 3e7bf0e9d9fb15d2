import { describe, expect, it } from "vitest";
import { Pictures } from "../src/stream/pictures";

/** Answers when the test says so. */
class SlowServer {
  now = 0;
  most = 0;
  readonly asked: string[] = [];
  readonly answers: (() => void)[] = [];

  file(path: string): Promise<Blob> {
    this.asked.push(path);
    this.now += 1;
    this.most = Math.max(this.most, this.now);
    return new Promise((resolve) => {
      this.answers.push(() => {
        this.now -= 1;
        resolve(new Blob([path]));
      });
    });
  }
}

const settle = () => new Promise((resolve) => setTimeout(resolve));

describe("Pictures", () => {
  it("loads three at a time, in the order of the requests", async () => {
    const server = new SlowServer();
    const pictures = new Pictures(server);
    const { signal } = new AbortController();
    const all = Array.from({ length: 50 }, (_, index) => pictures.load(String(index), signal));
    for (let index = 0; index < 50; index += 1) {
      await settle();
      server.answers[index]?.();
    }
    expect(await Promise.all(all)).toHaveLength(50);
    expect(server.most).toBe(3);
    expect(server.asked).toEqual(Array.from({ length: 50 }, (_, index) => String(index)));
  });

  it("drops cancelled ones from the queue", async () => {
    const server = new SlowServer();
    const pictures = new Pictures(server);
    const gone = new AbortController();
    const { signal } = new AbortController();
    const first = [0, 1, 2].map((index) => pictures.load(String(index), signal));
    const left = pictures.load("left", gone.signal);
    const last = pictures.load("last", signal);
    gone.abort();
    await expect(left).rejects.toThrow("aborted");
    for (let index = 0; index < 4; index += 1) {
      await settle();
      server.answers[index]?.();
    }
    await Promise.all([...first, last]);
    expect(server.asked).toEqual(["0", "1", "2", "last"]);
  });
});
