import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { Checks } from "../src/pages/Checks";
import { ServicesContext } from "../src/services";
import { FakeCameraServer, httpOf, servicesOf } from "./fakeCameras";

afterEach(cleanup);

const CHALLENGE = {
  id: "ab",
  state: "failed",
  reason: "not all prompts were followed",
  prompts: ["look_up", "cover_eye"],
  now: null,
  done: [
    { prompt: "look_up", followed: true, seen: "look_up", took_s: 1.25, score_mean: 0.12, score_max: 0.5 },
    { prompt: "cover_eye", followed: false, seen: null, took_s: null, score_mean: null, score_max: null },
  ],
  score_outside_mean: 0.1,
  score_outside_max: 0.2,
};

const CHECK = {
  id: "1".repeat(32),
  camera: null,
  who: "anna",
  began_s: 1795300000,
  ended_s: 1795300065,
  source_label: "OBS Virtual Camera",
  virtual_camera: "OBS Studio",
  state: "uncertain",
  reason: "scores disagree",
  fake_probability: 0.5,
  model: null,
  challenges: [CHALLENGE],
  challenges_ended: 40,
};

const EMPTY = { ...CHECK, id: "2".repeat(32), camera: "door", who: "", source_label: "", virtual_camera: null, state: null, reason: "" };

function open(items: readonly unknown[], older: readonly unknown[] = []): FakeCameraServer {
  const server = new FakeCameraServer();
  const next = older.length === 0 ? null : "more";
  server.on("GET /api/checks", (_, { searchParams }) =>
    Response.json(searchParams.get("cursor") === "more" ? { items: older, next: null } : { items, next }),
  );
  render(
    <ServicesContext value={servicesOf(httpOf(server)).services}>
      <Checks />
    </ServicesContext>,
  );
  return server;
}

describe("earlier checks", () => {
  it("show the user, the verdict, the virtual camera, and the challenges", async () => {
    open([CHECK]);
    const row = await screen.findByTestId("check");
    expect(row.dataset.state).toBe("uncertain");
    expect(row.textContent).toContain("1 min 5 s · by anna · fake probability");
    expect(row.textContent).toContain("Last verdict: Scores disagree.");
    expect(screen.getByTestId("check-virtual-camera").textContent).toMatch(/OBS Studio: .*does not affect the verdict/);
    const challenge = within(screen.getByTestId("check-challenge"));
    expect(challenge.getByText(/Not passed: not all prompts were followed/)).toBeTruthy();
    expect(challenge.getByText(/Look up: followed in 1.3 s/)).toBeTruthy();
    expect(challenge.getByText(/Cover one eye with a hand: not in time/)).toBeTruthy();
    expect(row.textContent).toContain("The newest 1 of 40 challenges are shown.");
  });

  it("say so if nothing was analysed", async () => {
    open([{ ...EMPTY, challenges: [], challenges_ended: 0, fake_probability: null }]);
    const row = await screen.findByTestId("check");
    expect(row.textContent).toContain("Challenge in front of door");
    expect(row.textContent).toContain("The check ended before anything was analysed.");
    expect(screen.queryByTestId("check-virtual-camera")).toBeNull();
  });

  it("say what went wrong if no verdict is known", async () => {
    open([{ ...EMPTY, camera: null, reason: "its worker was lost" }]);
    const row = await screen.findByTestId("check");
    expect(row.textContent).toContain("No verdict is known: its worker was lost.");
    expect(row.textContent).not.toContain("before anything was analysed");
  });

  it("load more pages, and remove a deleted one", async () => {
    const server = open([CHECK], [EMPTY]);
    server.json(`DELETE /api/checks/${CHECK.id}`, null);
    fireEvent.click(await screen.findByTestId("older"));
    await screen.findByText("Challenge in front of door");
    const [first] = screen.getAllByRole("button", { name: /^Delete the record of / });
    if (first === undefined) throw new Error("expected a button");
    fireEvent.click(first);
    fireEvent.click(screen.getByTestId("confirm"));
    await waitFor(() => {
      expect(screen.getAllByTestId("check")).toHaveLength(1);
    });
  });

  it("say how the first record is created", async () => {
    open([]);
    expect((await screen.findByTestId("empty")).textContent).toContain("There are no records yet.");
  });
});
