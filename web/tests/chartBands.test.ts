import { expect, test } from "vitest";
import { levelLabels } from "../src/components/chartBands";

test("0 and 1 are not labelled next to a threshold", () => {
  expect(levelLabels([0, 0.14, 0.93, 1])).toEqual(["0.00", "0.14", "0.93", ""]);
  expect(levelLabels([0, 0.06, 0.8, 1])).toEqual(["", "0.06", "0.80", "1.00"]);
  expect(levelLabels([0, 1])).toEqual(["0.00", "1.00"]);
});
