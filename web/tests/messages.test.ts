import { describe, expect, it } from "vitest";
import { parseMessage } from "../src/stream/messages";
import { ShapeError } from "../src/stream/shape";
import { WIRE_HELLO, wireFace, wireResult } from "./fakes";

const parse = (type: string, value: unknown) => parseMessage(JSON.stringify({ type, value }));

describe("parseMessage", () => {
  it("reads a result with its faces", () => {
    const message = parse("result", wireResult());
    expect(message).toMatchObject({
      type: "result",
      value: { state: "real", fakeProbability: 0.08, latencyMs: 9.4, dropped: { samples: 0, frames: 2 }, error: null },
    });
    expect(message?.type === "result" && message.value.faces[0]).toMatchObject({ track: 1, score: 0.11, box: [210.5, 96, 402.1, 330.7] });
  });

  it("keeps null where there is no evidence", () => {
    const message = parse("result", wireResult({ fake_probability: null, faces: [wireFace({ score: null, rejected: "blurred" })] }));
    expect(message).toMatchObject({ value: { fakeProbability: null, faces: [{ score: null, rejected: "blurred" }] } });
  });

  it("reads hello, pong and bye", () => {
    expect(parse("hello", WIRE_HELLO)).toMatchObject({ value: { needed: 12, thresholds: { fakeEnter: 0.8, realLeave: 0.4 } } });
    expect(parse("pong", { id: 3 })).toEqual({ type: "pong", value: { id: 3 } });
    expect(parse("bye", { reason: "server_shutdown" })).toEqual({ type: "bye", value: { reason: "server_shutdown" } });
  });

  it("ignores unknown types", () => {
    expect(parse("weather", { sunny: true })).toBeNull();
  });

  it.each([
    ["a state of another protocol", wireResult({ state: "verified" }), /result\.state: expected one of/],
    ["a probability above 1", wireResult({ fake_probability: 1.2 }), /expected a number in \[0, 1\]/],
    ["a face that is no object", wireResult({ faces: ["me"] }), /faces\[0\]: expected an object/],
    ["more faces than a server sends", wireResult({ faces: Array.from({ length: 65 }, () => wireFace()) }), /at most 64/],
    ["no value", undefined, /result: expected an object/],
  ])("refuses %s", (_, value, says) => {
    expect(() => parse("result", value)).toThrow(ShapeError);
    expect(() => parse("result", value)).toThrow(says);
  });

  it("refuses what is not JSON", () => {
    expect(() => parseMessage("{")).toThrow(SyntaxError);
  });
});
