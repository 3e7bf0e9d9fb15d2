import { describe, expect, it } from "vitest";
import { SseReader } from "../src/stream/sse";

describe("SseReader", () => {
  it("puts messages together however they are cut, with any line end", () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const text = [": still here", "event: camera", 'data: {"a":', "data: 1}", "", "data:x", "", ""].join(end);
      for (let cut = 1; cut < text.length; cut += 1) {
        const reader = new SseReader();
        const got = [...reader.push(text.slice(0, cut)), ...reader.push(text.slice(cut)), ...reader.push(": comment\n")];
        expect(got, `cut at ${cut}`).toEqual([
          { event: "camera", data: '{"a":\n1}' },
          { event: "message", data: "x" },
        ]);
      }
    }
  });

  it("hands over nothing for an event without data", () => {
    expect(new SseReader().push("event: ping\n\n")).toEqual([]);
  });

  it("refuses a message without end", () => {
    const reader = new SseReader();
    expect(() => {
      for (let index = 0; index < 100; index += 1) reader.push("x".repeat(100_000));
    }).toThrow(RangeError);
  });
});
