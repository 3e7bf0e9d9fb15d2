import { act, cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Analyses } from "../src/pages/Analyses";
import { AnalysisPage } from "../src/pages/AnalysisPage";
import { ServicesContext } from "../src/services";
import { EVERY_ANALYSIS } from "../src/stream/analyses";
import { WIRE_STATUS } from "./fakes";
import { ID, wireAnalysis, wireResults } from "./fakeAnalyses";
import { FakeCameraServer, FakeFeed, held, httpOf, ORIGIN, servicesOf } from "./fakeCameras";

// There is no canvas here; the browser tests look at the drawing.
vi.mock("../src/components/reviewChart", () => ({
  ReviewChart: class {
    readonly show = vi.fn();
    readonly mark = vi.fn();
    readonly close = vi.fn();
  },
}));

const PATH = `/api/analyses/${ID}`;
const CARD = { name: "meso4", title: "Meso4", architecture: "cnn" };
let server: FakeCameraServer;
let feed: FakeFeed;

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
  sessionStorage.clear();
  server = new FakeCameraServer();
  feed = new FakeFeed();
  server.json("GET /api/models", { judging: "meso4", models: [CARD, { ...CARD, name: "calm", title: "Calm" }] });
  server.json("GET /api/analyses", { items: [], next: null });
  server.json(`GET ${PATH}`, wireAnalysis());
  server.json(`GET ${PATH}/results`, wireResults());
  server.json(`GET ${PATH}/annotated`, { state: "none", done_share: 0, problem: "" });
  server.on(`GET ${PATH}/progress`, () => feed.response());
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function list(filter = EVERY_ANALYSIS) {
  const { services } = servicesOf(httpOf(server));
  render(
    <ServicesContext value={services}>
      <Analyses filter={filter} />
    </ServicesContext>,
  );
  return services;
}

function one() {
  const { services } = servicesOf(httpOf(server));
  render(
    <ServicesContext value={services}>
      <AnalysisPage id={ID} />
    </ServicesContext>,
  );
}

const asked = (route: string) => server.asked.filter(({ method, path }) => `${method} ${path}` === route).length;

describe("the library", () => {
  it("reads page after page", async () => {
    server.on("GET /api/analyses", (_, url) => {
      const older = url.searchParams.get("cursor") === "next";
      const item = older ? wireAnalysis({ id: "a", created_s: 100, state: "failed", problem: "audio only" }) : wireAnalysis();
      return new Response(JSON.stringify({ items: [item], next: older ? null : "next" }));
    });
    list();
    fireEvent.click(await screen.findByTestId("older"));
    await waitFor(() => {
      expect(screen.getAllByTestId("analysis").map((row) => row.dataset.state)).toEqual(["done", "failed"]);
    });
    expect(screen.getByText("Audio only.")).toBeTruthy();
    expect(screen.queryByTestId("older")).toBeNull();
  });

  it("says what to do when it is empty or nothing matches", async () => {
    list();
    await screen.findByText("Nothing has been analysed yet.");
    cleanup();
    list({ search: "door", state: null });
    await screen.findByText("No analysis matches.");
    expect(asked("GET /api/analyses?search=door&limit=25")).toBe(1);
  });

  it("searches for a name once it is typed, and keeps it in the URL", async () => {
    list();
    for (const typed of ["c", "cl", "cli"]) fireEvent.change(screen.getByTestId("search"), { target: { value: typed } });
    expect(window.location.hash).toBe("");
    await waitFor(() => {
      expect(window.location.hash).toBe("#/analyses?search=cli");
    });
  });

  it("keeps the typed text while the URL follows", async () => {
    const { services } = servicesOf(httpOf(server));
    const page = (search: string) => (
      <ServicesContext value={services}>
        <Analyses filter={{ search, state: null }} />
      </ServicesContext>
    );
    const { rerender } = render(page(""));
    const field = screen.getByTestId<HTMLInputElement>("search");
    fireEvent.change(field, { target: { value: "front " } });
    await waitFor(() => {
      expect(window.location.hash).toBe("#/analyses?search=front");
    });
    rerender(page("front"));
    expect(field.value).toBe("front ");
    rerender(page("back")); // by the browser's back button
    expect(field.value).toBe("back");
    rerender(page("front"));
    expect(field.value).toBe("front");
  });

  it("follows the running one, and announces every quarter", async () => {
    server.json("GET /api/analyses", { items: [wireAnalysis({ state: "running", done_share: 0, ended_s: null })], next: null });
    list();
    await screen.findByTestId("analysis");
    await waitFor(() => {
      expect(asked(`GET ${PATH}/progress`)).toBe(1);
    });
    for (const share of [0.26, 0.31, 0.49]) {
      act(() => {
        feed.send("progress", wireAnalysis({ state: "running", done_share: share, eta_s: 12, ended_s: null }));
      });
      await screen.findByText(`${Math.floor(share * 100)} %, about 12 s left`);
      expect(screen.getByTestId("milestone").textContent).toBe("Analysing clip.mp4: 25 %");
    }
    act(() => {
      feed.send("progress", wireAnalysis({ verdict: "fake" }));
    });
    await waitFor(() => {
      expect(screen.getByTestId("analysis").dataset.state).toBe("done");
    });
    expect(screen.getByTestId("milestone").textContent).toBe("clip.mp4: Fake");
  });

  it("deletes after a confirmation", async () => {
    server.json("GET /api/analyses", { items: [wireAnalysis()], next: null });
    server.json(`DELETE ${PATH}`, null, 204);
    list();
    fireEvent.click(await screen.findByTestId("delete-analysis"));
    expect(asked(`DELETE ${PATH}`)).toBe(0);
    fireEvent.click(screen.getByTestId("confirm"));
    await waitFor(() => {
      expect(screen.queryByTestId("analysis")).toBeNull();
    });
  });

  it("does not show an analysis again that was deleted while the list was read", async () => {
    server.json("GET /api/analyses", { items: [wireAnalysis(), wireAnalysis({ id: "b", state: "cancelled" })], next: "more" });
    server.json(`DELETE ${PATH}`, null, 204);
    list();
    const [first = document.body] = await screen.findAllByTestId("delete-analysis");
    const older = held();
    server.on("GET /api/analyses", () => older.response());
    fireEvent.click(screen.getByTestId("older"));
    fireEvent.click(first);
    fireEvent.click(screen.getByTestId("confirm"));
    await waitFor(() => {
      expect(screen.getAllByTestId("analysis")).toHaveLength(1);
    });
    act(() => {
      older.answer({ items: [wireAnalysis(), wireAnalysis({ id: "c", created_s: 100 })], next: null });
    });
    await waitFor(() => {
      expect(screen.getAllByTestId("analysis").map((row) => row.dataset.state)).toEqual(["cancelled", "done"]);
    });
  });

  it("cancels a queued one", async () => {
    server.json("GET /api/analyses", { items: [wireAnalysis({ state: "queued", ended_s: null })], next: null });
    server.json(`POST ${PATH}/cancel`, wireAnalysis({ state: "cancelled" }));
    list();
    fireEvent.click(await screen.findByTestId("cancel-analysis"));
    await screen.findByText(/The file was deleted/);
  });

  it("offers to try again when it could not be loaded", async () => {
    server.problem("GET /api/analyses", 500, "the database is away");
    list();
    await screen.findByText(/The database is away/);
    server.json("GET /api/analyses", { items: [wireAnalysis()], next: null });
    fireEvent.click(screen.getByText("Try again"));
    await screen.findByTestId("analysis");
  });
});

describe("the drop zone", () => {
  it("submits files for the ticked models", async () => {
    const services = list();
    const add = vi.spyOn(services.uploads, "add").mockImplementation(() => undefined);
    const ticks = within(await screen.findByTestId("models"));
    fireEvent.click(ticks.getByLabelText("Calm"));
    const files = [new File(["x"], "a.mp4"), new File(["y"], "b.png")];
    fireEvent.drop(screen.getByTestId("drop-zone"), { dataTransfer: { types: ["Files"], files } });
    expect(add).toHaveBeenCalledWith(files, ["meso4", "calm"]);
  });

  it("accepts nothing while no model is ticked, and says so", async () => {
    const services = list();
    const add = vi.spyOn(services.uploads, "add").mockImplementation(() => undefined);
    fireEvent.click(within(await screen.findByTestId("models")).getByLabelText(/Meso4/));
    expect(screen.getByText("Choose at least one model below.")).toBeTruthy();
    fireEvent.drop(screen.getByTestId("drop-zone"), { dataTransfer: { types: ["Files"], files: [new File(["x"], "a")] } });
    expect(add).not.toHaveBeenCalled();
  });
});

describe("the address", () => {
  const field = () => screen.findByLabelText(/^Or the address/);

  it("is offered if the server fetches files, and is submitted for the ticked models", async () => {
    server.json("GET /api/status", { ...WIRE_STATUS, review_urls: true });
    server.json("POST /api/analyses", { items: [wireAnalysis({ state: "fetching", ended_s: null })] }, 202);
    list();
    fireEvent.click(within(await screen.findByTestId("models")).getByLabelText("Calm"));
    fireEvent.change(await field(), { target: { value: " https://example.org/clip.mp4 " } });
    fireEvent.submit(screen.getByTestId("address-form"));
    expect((await screen.findByTestId("analysis")).dataset.state).toBe("fetching");
    const sent = server.asked.find(({ method }) => method === "POST");
    expect(sent?.body).toEqual({ url: "https://example.org/clip.mp4", models: ["meso4", "calm"] });
    expect((await field()).getAttribute("value")).toBe("");
  });

  it("stays in the field with the reason if the server refuses it", async () => {
    server.json("GET /api/status", { ...WIRE_STATUS, review_urls: true });
    server.json("POST /api/analyses", { detail: "expected an http(s) address" }, 422);
    list();
    await screen.findByTestId("models");
    fireEvent.change(await field(), { target: { value: "ftp://a/b" } });
    fireEvent.submit(screen.getByTestId("address-form"));
    expect((await screen.findByRole("alert")).textContent).toBe("The address was not accepted. Expected an http(s) address.");
    expect((await field()).getAttribute("value")).toBe("ftp://a/b");
  });

  it("is not offered if the server fetches none", async () => {
    server.json("GET /api/status", WIRE_STATUS);
    list();
    await screen.findByTestId("models");
    await waitFor(() => {
      expect(asked("GET /api/status")).toBe(1);
    });
    await act(() => Promise.resolve());
    expect(screen.queryByTestId("address-form")).toBeNull();
  });
});

describe("an analysis's page", () => {
  it("shows verdict, model, checksums, and faces that were not scored", async () => {
    one();
    expect((await screen.findByTestId("verdict")).dataset.state).toBe("fake");
    expect(screen.getByTestId("verdict-reason").textContent).toBe("Fake: face 1 was called fake for 12.4 of 31.2 s");
    expect(screen.getByTestId("refused").textContent).toContain("blurred3");
    for (const text of ["ab".repeat(32), "cd".repeat(32), "0.90", "2 frames, 5 per second"]) {
      expect(screen.getByTestId("facts").textContent).toContain(text);
    }
    expect(screen.getByTestId("limits").textContent).toContain("Blur misleads it.");
  });

  it("plays the file by its URL, or from memory if a token is required", async () => {
    one();
    expect((await screen.findByTestId("player")).getAttribute("src")).toBe(`${ORIGIN}${PATH}/media`);
    cleanup();
    sessionStorage.setItem("stream-detect.token", "secret");
    server.on(`GET ${PATH}/media`, () => new Response(new Blob(["film"])));
    one();
    expect((await screen.findByTestId("player")).getAttribute("src")).toMatch(/^blob:/);
    const read = server.asked.find(({ path }) => path === `${PATH}/media`);
    expect(read?.headers.get("Authorization")).toBe("Bearer secret");
  });

  it("loads files under the path prefix of a proxy", async () => {
    const { services } = servicesOf(httpOf(server, `${ORIGIN}/detect/`));
    server.json(`GET /detect${PATH}`, wireAnalysis());
    server.json(`GET /detect${PATH}/results`, wireResults());
    render(
      <ServicesContext value={services}>
        <AnalysisPage id={ID} />
      </ServicesContext>,
    );
    expect((await screen.findByTestId("player")).getAttribute("src")).toBe(`${ORIGIN}/detect${PATH}/media`);
    expect(screen.getByTestId("report-html").getAttribute("href")).toBe(`${ORIGIN}/detect${PATH}/report.html`);
  });

  it("asks before reading a large file into memory", async () => {
    sessionStorage.setItem("stream-detect.token", "secret");
    const long = { ...wireResults(), file: { ...(wireResults().file as object), bytes: 2e9 } };
    server.json(`GET ${PATH}/results`, long);
    server.on(`GET ${PATH}/media`, () => new Response(new Blob(["film"])));
    one();
    fireEvent.click(await screen.findByText("Download and play"));
    await screen.findByTestId("player");
  });

  it("offers the annotated video if the browser cannot play the file, creates it, and plays it", async () => {
    one();
    fireEvent.error(await screen.findByTestId("player"));
    expect((await screen.findByTestId("unplayable")).textContent).toContain("(h264). Create the annotated video below");
    server.json(`POST ${PATH}/annotated`, { state: "queued", done_share: 0, problem: "" }, 202);
    server.json(`GET ${PATH}/annotated`, { state: "running", done_share: 0.4, problem: "" });
    fireEvent.click(screen.getByTestId("annotate"));
    await screen.findByText("40 %");
    server.json(`GET ${PATH}/annotated`, { state: "done", done_share: 1, problem: "" });
    fireEvent.click(await screen.findByTestId("show-annotated"));
    expect((await screen.findByTestId("player")).getAttribute("src")).toBe(`${ORIGIN}${PATH}/annotated.mp4?model=meso4`);
  });

  it("says why an annotated video could not be created", async () => {
    server.json(`GET ${PATH}/annotated`, { state: "failed", done_share: 0, problem: "the disk is full" });
    one();
    await screen.findByText("The disk is full.");
  });

  it("opens a flagged frame, with its heat map if any, and navigates by keys", async () => {
    for (const file of ["1.jpg", "1-map.jpg", "2.jpg"]) server.on(`GET ${PATH}/flagged/${file}`, () => new Response(new Blob(["x"])));
    one();
    const [first = document.body] = await screen.findAllByTestId("flagged");
    fireEvent.click(first);
    await screen.findByTestId("flagged-map");
    expect(screen.getByTestId("flagged-caption").textContent).toBe("0:00.2 · face 1 · 0.97");
    fireEvent.keyDown(window, { key: "ArrowRight" });
    expect(screen.getByTestId("flagged-caption").textContent).toBe("0:05.4 · face 1 · 0.95");
    await screen.findByTestId("flagged-picture");
    expect(screen.queryByTestId("flagged-map")).toBeNull();
    expect(screen.getByTestId("seek").getAttribute("aria-valuenow")).toBe("5.4");
  });

  it("never shows one flagged frame in place of another whose image fails to load", async () => {
    server.on(`GET ${PATH}/flagged/1.jpg`, () => new Response(new Blob(["x"])));
    server.problem(`GET ${PATH}/flagged/2.jpg`, 404, "the picture is gone");
    one();
    const [first = document.body] = await screen.findAllByTestId("flagged");
    fireEvent.click(first);
    await screen.findByTestId("flagged-picture");
    fireEvent.click(screen.getByTestId("flagged-after"));
    expect(screen.queryByTestId("flagged-picture")).toBeNull();
    await screen.findByText("The picture is gone.");
    expect(screen.queryByTestId("flagged-picture")).toBeNull();
  });

  it("seeks by keys from sample to sample", async () => {
    one();
    await screen.findAllByTestId("flagged"); // the results are there
    const seek = screen.getByTestId("seek");
    fireEvent.keyDown(seek, { key: "ArrowRight" });
    await waitFor(() => {
      expect(seek.getAttribute("aria-valuetext")).toBe("0:00.2, face 1 0.97");
    });
    fireEvent.keyDown(seek, { key: "+" });
    expect(seek.dataset.range).toBe("0.10 15.70");
    fireEvent.keyDown(seek, { key: "0" });
    expect(seek.dataset.range).toBe("0.00 31.20");
  });

  it("shows the verdicts of several models, and the selected one in full", async () => {
    server.json(`GET ${PATH}/results`, wireResults(["meso4", "calm"]));
    one();
    const choice = within(await screen.findByTestId("model-choice"));
    expect(choice.getAllByRole("radio")).toHaveLength(2);
    fireEvent.click(choice.getByLabelText(/The model calm/));
    expect(screen.getByTestId("facts").textContent).toContain("calm, sha256");
  });

  it("shows a picture as a picture", async () => {
    const results = wireResults();
    server.json(`GET ${PATH}/results`, { ...results, file: { ...(results.file as object), kind: "image", duration_s: 0, fps: 0 } });
    one();
    expect((await screen.findByTestId("picture")).getAttribute("src")).toBe(`${ORIGIN}${PATH}/media`);
    expect(screen.queryByTestId("seek-timeline")).toBeNull();
  });

  it("follows a running one until its results are ready", async () => {
    server.json(`GET ${PATH}`, wireAnalysis({ state: "running", done_share: 0.1, ended_s: null }));
    one();
    expect((await screen.findByRole("progressbar")).getAttribute("aria-valuenow")).toBe("10");
    await waitFor(() => {
      expect(asked(`GET ${PATH}/progress`)).toBe(1);
    });
    act(() => {
      feed.send("progress", wireAnalysis({ verdict: "fake" }));
    });
    await screen.findByTestId("verdict");
  });

  it.each([
    ["failed", "no video in it", "No video in it."],
    ["cancelled", "", /The file was deleted/],
  ])("says why when %s", async (state, problem, text) => {
    server.json(`GET ${PATH}`, wireAnalysis({ state, problem }));
    one();
    await screen.findByText(text);
    expect(screen.getByTestId("delete-analysis")).toBeTruthy();
    expect(asked(`GET ${PATH}/results`)).toBe(0);
  });

  it("says so when it does not exist", async () => {
    server.problem(`GET ${PATH}`, 404, "there is no analysis of that id");
    one();
    expect((await screen.findByTestId("failed")).textContent).toContain("There is no analysis of that id.");
  });
});
