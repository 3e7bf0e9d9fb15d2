import { expect, test } from "vitest";
import { levelLabels } from "../src/components/chartBands";

test("0 and 1 are not labelled next to a threshold", () => {
  expect(levelLabels([0, 0.14, 0.93, 1])).toEqual(["0.00", "0.14", "0.93", ""]);
  expect(levelLabels([0, 0.06, 0.8, 1])).toEqual(["", "0.06", "0.80", "1.00"]);
  expect(levelLabels([0, 1])).toEqual(["0.00", "1.00"]);
});

test("thresholds are rounded only as far as the axis is too narrow", () => {
  expect(levelLabels([0, 0.125, 0.8125, 1])).toEqual(["0.00", "0.125", "0.8125", "1.00"]);
  expect(levelLabels([0, 0.0005, 0.002, 1])).toEqual(["", "0.0005", "0.002", "1.00"]);
  expect(levelLabels([0, 0.1234567, 0.999873, 1])).toEqual(["0.00", "0.12346", "0.99987", ""]);
});
