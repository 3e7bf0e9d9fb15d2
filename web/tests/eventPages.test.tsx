import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EventPage } from "../src/pages/EventPage";
import { Events } from "../src/pages/Events";
import { ServicesContext } from "../src/services";
import { EVERY_EVENT } from "../src/stream/events";
import { FakeCameraServer, held, httpOf, servicesOf, wireEvent } from "./fakeCameras";

// There is no canvas here; the browser tests look at the drawing.
vi.mock("../src/components/scoreChart", () => ({
  PLOT_LEFT_PX: 40,
  PLOT_RIGHT_PX: 8,
  ScoreChart: class {
    readonly show = vi.fn();
    readonly close = vi.fn();
  },
}));

const ID = "01920000000000000000000000000001";

beforeEach(() => {
  vi.stubGlobal(
    "IntersectionObserver",
    class {
      observe() {
        return undefined;
      }
      disconnect() {
        return undefined;
      }
    },
  );
  window.location.hash = "";
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function list(server: FakeCameraServer, filter = EVERY_EVENT) {
  const { services } = servicesOf(httpOf(server));
  render(
    <ServicesContext value={services}>
      <Events filter={filter} />
    </ServicesContext>,
  );
}

function one(server: FakeCameraServer) {
  const { services } = servicesOf(httpOf(server));
  render(
    <ServicesContext value={services}>
      <EventPage id={ID} limits={["Blur misleads it."]} />
    </ServicesContext>,
  );
}

describe("the list of events", () => {
  it("reads page after page", async () => {
    const server = new FakeCameraServer();
    server.on("GET /api/events", (_, url) => {
      const older = url.searchParams.get("cursor") === "next";
      const item = older ? wireEvent({ id: "a", began_s: 100, ended_s: 110, kind: "offline" }) : wireEvent({ id: "b", began_s: 200 });
      return new Response(JSON.stringify({ items: [item], next: older ? null : "next" }));
    });
    list(server);
    fireEvent.click(await screen.findByTestId("older"));
    await waitFor(() => {
      expect(screen.getAllByTestId("event").map((row) => row.dataset.kind)).toEqual(["fake", "offline"]);
    });
    expect(screen.queryByTestId("older")).toBeNull();
  });

  it("requests what the filter selects, and keeps it in the URL", async () => {
    const server = new FakeCameraServer();
    list(server, { ...EVERY_EVENT, camera: "door", open: true });
    await screen.findByText("No event matches.");
    expect(server.asked.find(({ path }) => path.startsWith("/api/events"))?.path).toBe("/api/events?camera=door&open=true&limit=50");
    fireEvent.change(screen.getByTestId("filter-kind"), { target: { value: "offline" } });
    expect(window.location.hash).toBe("#/events?camera=door&kind=offline&open=true");
  });

  it("shows an event when it begins and when it ends", async () => {
    const server = new FakeCameraServer();
    list(server);
    await screen.findByText("There are no events yet.");
    act(() => {
      server.feed.send("event", wireEvent({ ended_s: null }));
    });
    expect((await screen.findByTestId("event")).textContent).toContain("Ongoing for");
    act(() => {
      server.feed.send("event", wireEvent());
    });
    await screen.findByText(/Lasted 48 s/);
    expect(screen.getAllByTestId("event")).toHaveLength(1);
  });

  it("shows an event that begins while the first page is read", async () => {
    const server = new FakeCameraServer();
    const page = held();
    server.on("GET /api/events", () => page.response());
    list(server);
    await waitFor(() => {
      expect(server.asked.some(({ path }) => path.startsWith("/api/streams/events"))).toBe(true);
    });
    act(() => {
      server.feed.send("event", wireEvent({ id: "b", began_s: 1795300100, ended_s: null }));
    });
    await act(() => Promise.resolve());
    act(() => {
      page.answer({ items: [wireEvent()], next: null });
    });
    await waitFor(() => {
      expect(screen.getAllByTestId("event")).toHaveLength(2);
    });
  });

  it("offers to try again when it could not be loaded", async () => {
    const server = new FakeCameraServer();
    server.problem("GET /api/events", 500, "the database is away");
    list(server);
    expect((await screen.findByTestId("failed")).textContent).toContain("The database is away.");
    server.json("GET /api/events", { items: [wireEvent()], next: null });
    fireEvent.click(screen.getByText("Try again"));
    await screen.findByTestId("event");
    expect(screen.queryByTestId("failed")).toBeNull();
  });

  it("sends a test alert and says whether it arrived", async () => {
    const server = new FakeCameraServer();
    const way = { name: "guard", kind: "webhook", state: "failing", detail: "no answer", delivered: 1, failed: 2, waiting: 3 };
    server.json("GET /api/alerts", { items: [way] });
    server.json("POST /api/alerts/guard/test", { ok: false, detail: "no answer within 5 s" });
    list(server);
    await screen.findByText("1 notifier, 1 failing");
    fireEvent.click(screen.getByTestId("test-alert"));
    await screen.findByText("It did not arrive. No answer within 5 s.");
  });
});

describe("an event's page", () => {
  it("shows the exact model and thresholds, the gaps, and the limits", async () => {
    const server = new FakeCameraServer();
    server.json(`GET /api/events/${ID}`, wireEvent({ gaps_s: [1795300010] }));
    one(server);
    const judgement = await screen.findByTestId("judgement");
    for (const text of ["meso4", "ab".repeat(32), "0.90", "0.70", "0.15", "0.35", "frames were lost at"]) {
      expect(judgement.textContent).toContain(text);
    }
    expect(screen.getByTestId("limits").textContent).toContain("Blur misleads it.");
    expect(screen.getByText(/evidence is turned off/)).toBeTruthy();
  });

  it("reads the evidence with the access token, and shows it", async () => {
    sessionStorage.setItem("stream-detect.token", "secret");
    const server = new FakeCameraServer();
    const [picture, face, clip] = ["picture.jpg", "face.jpg", "clip.mp4"].map((file) => `/api/events/${ID}/${file}`);
    server.json(`GET /api/events/${ID}`, wireEvent({ evidence: { picture, face, clip, bytes: 1_200_000, problem: "the disk is full" } }));
    for (const path of [picture, face, clip]) server.on(`GET ${path ?? ""}`, () => new Response(new Blob(["x"])));
    one(server);
    await screen.findByTestId("event-picture");
    await screen.findByTestId("event-face");
    expect((await screen.findByTestId("clip")).getAttribute("src")).toMatch(/^blob:/);
    expect(server.asked.every(({ headers }) => headers.get("Authorization") === "Bearer secret")).toBe(true);
    expect(screen.getByText(/The disk is full/)).toBeTruthy();
    sessionStorage.clear();
  });

  it("says so when the browser cannot play the clip", async () => {
    const server = new FakeCameraServer();
    const clip = `/api/events/${ID}/clip.mp4`;
    server.json(`GET /api/events/${ID}`, wireEvent({ evidence: { picture: null, face: null, clip, bytes: 1, problem: "" } }));
    server.on(`GET ${clip}`, () => new Response(new Blob(["x"])));
    one(server);
    fireEvent.error(await screen.findByTestId("clip"));
    await screen.findByText(/cannot play/);
    expect(screen.getByText("Save the clip")).toBeTruthy();
  });

  it("is deleted with its evidence after a confirmation", async () => {
    const server = new FakeCameraServer();
    server.json(`GET /api/events/${ID}`, wireEvent());
    server.json(`DELETE /api/events/${ID}`, null, 204);
    window.location.hash = `#/events/${ID}`;
    one(server);
    fireEvent.click(await screen.findByTestId("delete-event"));
    fireEvent.click(screen.getByTestId("confirm"));
    await waitFor(() => {
      expect(window.location.hash).toBe("#/events");
    });
    expect(server.asked.some(({ method }) => method === "DELETE")).toBe(true);
  });

  it("says so when it does not exist", async () => {
    const server = new FakeCameraServer();
    server.problem(`GET /api/events/${ID}`, 404, "there is no event of that id");
    one(server);
    expect((await screen.findByTestId("failed")).textContent).toContain("There is no event of that id.");
  });
});
