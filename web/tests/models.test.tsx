import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { readModels } from "../src/modelCards";
import { Models } from "../src/pages/Models";
import { AccessToken } from "../src/stream/accessToken";
import { Http } from "../src/stream/http";
import { Server } from "../src/stream/server";

const CARD = {
  name: "meso4-dfdc",
  title: "Meso4 trained on DFDC",
  version: "1",
  architecture: "meso4",
  calibration: { slope: 1, intercept: 0, fitted_on: "1,204 faces" },
  thresholds: { fake_enter: 0.8, fake_leave: 0.6, real_enter: 0.2, real_leave: 0.4 },
  training: { data: "DFDC faces", terms: "Apache-2.0", recipe: "stream-detect train", never_shown: ["AniPortrait"] },
  limits: ["Blur misleads it."],
  metrics: [
    { name: "AUC", value: 0.78123, low: 0.751, high: 0.809, data: "validation faces", n: 1204, threshold: null },
    { name: "recall", value: 0.5, data: "validation faces", n: 1204, threshold: 0.8 },
  ],
  sha256: { "model.xml": "cd".repeat(32) },
};
const BARE = { name: "meso4", title: "MesoNet as published", architecture: "meso4" };

function page(...answers: readonly (() => Promise<Response>)[]) {
  const rest = [...answers];
  const fetch = vi.fn<typeof globalThis.fetch>(() => rest.shift()?.() ?? Promise.reject(new Error("asked too often")));
  const token = new AccessToken(() => sessionStorage);
  return <Models server={new Server(new Http(token, fetch, "http://localhost"))} />;
}

const answer = (body: unknown) => () => Promise.resolve(new Response(JSON.stringify(body)));

afterEach(cleanup);

describe("readModels", () => {
  it("reads an older card without optional parts", () => {
    const [card] = readModels({ judging: "x", models: [BARE] }, "models").models;
    expect(card).toMatchObject({ title: "MesoNet as published", training: null, thresholds: null, limits: [], metrics: [], files: [] });
  });

  it("reads the figures of hundreds of generators", () => {
    const metrics = Array.from({ length: 1000 }, (_, n) => ({ name: "auc", value: 0.9, data: `generator ${n}`, n: 9 }));
    const [card] = readModels({ judging: "x", models: [{ ...BARE, metrics }] }, "models").models;
    expect(card?.metrics).toHaveLength(1000);
  });

  it("refuses a card without a name", () => {
    expect(() => readModels({ judging: "x", models: [{ ...BARE, name: 4 }] }, "models")).toThrow(
      /models\.models\[0\]\.name: expected a text/,
    );
  });
});

describe("Models", () => {
  it("shows the model in use first, with figures, intervals and limits", async () => {
    render(page(answer({ judging: "meso4-dfdc", models: [BARE, CARD] })));
    const [first, second] = await screen.findAllByTestId("model");
    for (const part of ["in use", "Blur misleads it.", "0.781", "0.751–0.809", "Never shown in training: AniPortrait", "cdcdcdcdcdcd"]) {
      expect(first?.textContent).toContain(part);
    }
    expect(second?.textContent).toContain("Its card lists no limitations");
    expect(second?.textContent).not.toContain("in use");
  });

  it("says what to do when there is none", async () => {
    render(page(answer({ judging: "x", models: [] })));
    expect(screen.getByRole("status").textContent).toContain("Loading");
    expect(await screen.findByText(/Put one into the folder/)).toBeTruthy();
  });

  it("offers to try again when the cards cannot be read", async () => {
    render(page(() => Promise.reject(new TypeError("Failed to fetch")), answer({ judging: "meso4", models: [BARE] })));
    fireEvent.click(await screen.findByText("Try again"));
    expect(await screen.findByTestId("model")).toBeTruthy();
  });

  it("compares them in one table: AUC overall and by family, and errors at each model's own threshold", async () => {
    const metric = (name: string, value: number, data: string, threshold: number | null = null) => ({ name, value, data, threshold, n: 9 });
    const card = {
      ...CARD,
      metrics: [
        metric("auc", 0.91, "held-out faces"),
        metric("auc", 0.87, "held-out faces, family swap"),
        metric("false_alarm_rate", 0.25, "held-out faces", 0.5),
        metric("false_alarm_rate", 0.02, "held-out faces", 0.8),
      ],
    };
    render(page(answer({ judging: "meso4-dfdc", models: [BARE, card] })));
    const table = await screen.findByTestId("model-comparison");
    const rows = [...table.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => cell.textContent));
    expect(rows[0]).toEqual(["Model", "All", "swap", "Real called fake", "Fakes found", "Terms of use"]);
    expect(rows[1]).toEqual(["meso4-dfdcin use", "0.910", "0.870", "0.020", "–", "Apache-2.0"]);
    expect(rows[2]?.slice(0, 3)).toEqual(["meso4", "–", "–"]);
  });

  it("opens a model's card from the table", async () => {
    render(page(answer({ judging: "meso4-dfdc", models: [CARD] })));
    const details = await screen.findByTestId<HTMLDetailsElement>("model");
    expect(details.open).toBe(false);
    fireEvent.click(screen.getByRole("link", { name: "meso4-dfdc" }));
    expect(details.open).toBe(true);
  });
});
