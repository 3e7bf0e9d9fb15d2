import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LiveCorner } from "../src/components/LiveCorner";
import { CameraPage } from "../src/pages/CameraPage";
import { Cameras } from "../src/pages/Cameras";
import { ServicesContext } from "../src/services";
import { FakeCameraServer, held, httpOf, servicesOf, wireCamera, wireEvent } from "./fakeCameras";
import { STATUS, wireResult } from "./fakes";

// There is no canvas here; the browser tests look at the drawing.
vi.mock("../src/components/scoreChart", () => ({
  PLOT_LEFT_PX: 40,
  PLOT_RIGHT_PX: 8,
  ScoreChart: class {
    readonly show = vi.fn();
    readonly close = vi.fn();
  },
}));

/** Tells every element at once whether it is in the window. */
const observers: ((visible: boolean) => void)[] = [];

beforeEach(() => {
  observers.length = 0;
  vi.stubGlobal(
    "IntersectionObserver",
    class {
      constructor(told: (entries: { isIntersecting: boolean }[]) => void) {
        observers.push((isIntersecting) => {
          told([{ isIntersecting }]);
        });
      }
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

function wall(server = new FakeCameraServer()) {
  const of = servicesOf(httpOf(server));
  const { unmount } = render(
    <ServicesContext value={of.services}>
      <Cameras limits={["Blur misleads it."]} />
    </ServicesContext>,
  );
  return { fake: server, unmount, services: of.services };
}

function page(name = "door", server = new FakeCameraServer()) {
  const of = servicesOf(httpOf(server));
  const { unmount } = render(
    <ServicesContext value={of.services}>
      <CameraPage name={name} status={STATUS} />
    </ServicesContext>,
  );
  return { services: of.services, unmount };
}

const asked = (server: FakeCameraServer, part: string) => server.asked.filter(({ path }) => path.includes(part)).length;

describe("the camera wall", () => {
  it("shows each camera's verdict and state in words", async () => {
    const server = new FakeCameraServer();
    const away = wireCamera({
      name: "gate",
      title: "",
      state: "refused",
      reason: "wrong password",
      verdict: null,
      width: null,
      height: null,
    });
    server.json("GET /api/cameras", { items: [wireCamera(), away] });
    wall(server);
    const tiles = await screen.findAllByTestId("tile");
    expect(tiles.map((tile) => tile.dataset.state)).toEqual(["real", "offline"]);
    expect(tiles[0]?.textContent).toContain("Front doorReal");
    expect(tiles[1]?.textContent).toContain("gateRefusedRefused: wrong password");
    expect(screen.getByTestId("limits")).toBeTruthy();
  });

  it("requests pictures only for visible tiles that have one", async () => {
    const server = new FakeCameraServer();
    server.json("GET /api/cameras", { items: [wireCamera(), wireCamera({ name: "gate", width: null, height: null })] });
    wall(server);
    await screen.findAllByTestId("tile");
    expect(asked(server, "snapshot")).toBe(0);
    act(() => {
      observers.forEach((tell) => {
        tell(true);
      });
    });
    await waitFor(() => {
      expect(screen.getAllByTestId("tile")[0]?.dataset.snapshot).toBe("true");
    });
    expect(server.asked.filter(({ path }) => path.includes("snapshot")).map(({ path }) => path)).toEqual([
      "/api/cameras/door/snapshot.jpg?width=480",
    ]);
  });

  it("revokes the URL of every picture", async () => {
    const made = vi.spyOn(URL, "createObjectURL");
    const revoked = vi.spyOn(URL, "revokeObjectURL");
    const { unmount } = wall();
    await screen.findByTestId("tile");
    act(() => {
      observers.forEach((tell) => {
        tell(true);
      });
    });
    await waitFor(() => {
      expect(made).toHaveBeenCalledTimes(1);
    });
    unmount();
    await waitFor(() => {
      expect(revoked.mock.calls.map(([url]) => url)).toEqual(made.mock.results.map(({ value }) => value as string));
    });
  });

  it("plays the focused one, by keyboard too, until Escape", async () => {
    const { player } = wall().services;
    const tile = await screen.findByTestId("tile");
    const link = tile.querySelector("a");
    if (link === null) throw new Error("expected a link in the tile");
    fireEvent.focus(link);
    await waitFor(() => {
      expect(player.snapshot().camera).toBe("door");
    });
    fireEvent.keyDown(link, { key: "Escape" });
    await waitFor(() => {
      expect(player.snapshot().state).toBe("idle");
    });
  });

  it("does not play for a pointer that only passes over", async () => {
    const { player } = wall().services;
    const link = (await screen.findByTestId("tile")).querySelector("a");
    if (link === null) throw new Error("expected a link in the tile");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    for (const passes of [true, false]) {
      fireEvent.pointerEnter(link, { pointerType: "mouse" });
      if (passes) fireEvent.pointerLeave(link);
      act(() => {
        vi.advanceTimersByTime(1000);
      });
      expect(player.snapshot().camera).toBe(passes ? null : "door");
    }
    vi.useRealTimers();
  });

  it.each([true, false])("calls a playing picture live only while results come (%s)", (fresh) => {
    const { services } = servicesOf(httpOf(new FakeCameraServer()));
    const playing = { state: "playing", camera: "door", picture: null, failure: null, retryAtMs: null } as const;
    vi.spyOn(services.player, "snapshot").mockReturnValue(playing);
    render(
      <ServicesContext value={services}>
        <LiveCorner title="Door" fresh={fresh} />
      </ServicesContext>,
    );
    fireEvent.playing(screen.getByTestId("live-picture"));
    expect(screen.queryByText("Live") !== null).toBe(fresh);
    expect(screen.queryByText("No new results") !== null).toBe(!fresh);
  });

  it("filters by state", async () => {
    const server = new FakeCameraServer();
    const feed_reason = "the picture repeats every 19 s";
    const fake = { state: "fake", reason: "", fake_probability: 0.97, faces: 1, age_s: 0.1, feed: "looped", feed_reason };
    server.json("GET /api/cameras", { items: [wireCamera(), wireCamera({ name: "gate", title: "Gate", verdict: fake })] });
    wall(server);
    fireEvent.click(await screen.findByText("Fake 1"));
    expect(screen.getAllByTestId("tile").map((tile) => tile.dataset.camera)).toEqual(["gate"]);
    expect(screen.getByTestId("tile").textContent).toContain("Live: 25 fps; the picture repeats every 19 s");
  });

  it("says what to do when there are none, and offers to try again when they could not be loaded", async () => {
    const server = new FakeCameraServer();
    server.json("GET /api/cameras", { items: [] });
    wall(server);
    expect((await screen.findByTestId("empty")).textContent).toContain("Add one");
    cleanup();
    const broken = new FakeCameraServer();
    broken.problem("GET /api/cameras", 500, "the database is away");
    wall(broken);
    expect((await screen.findByTestId("failed")).textContent).toContain("The database is away.");
    broken.json("GET /api/cameras", { items: [wireCamera()] });
    fireEvent.click(screen.getByText("Try again"));
    await screen.findByTestId("tile");
  });

  it("looks stale when the server is unreachable", async () => {
    const { fake: server } = wall();
    await screen.findByTestId("tile");
    server.problem("GET /api/streams/events", 500, "away");
    act(() => {
      server.feed.end();
    });
    await waitFor(() => {
      expect(screen.getByTestId("tile").dataset.state).toBe("stale");
    });
  });
});

describe("adding a camera", () => {
  async function dialog(server = new FakeCameraServer()) {
    wall(server);
    await screen.findByTestId("tile");
    fireEvent.click(screen.getByTestId("add-camera"));
    fireEvent.change(screen.getByLabelText(/^Address/), { target: { value: "rtsp://me:secret@10.0.0.7/x" } });
    fireEvent.change(screen.getByLabelText(/^Name/), { target: { value: "gate" } });
    return server;
  }

  it("tests the connection and shows the camera's picture", async () => {
    const server = await dialog();
    const picture = "data:image/jpeg;base64,AAAA";
    const tested = { ok: true, detail: "it sends H.264", codec: "h264", width: 640, height: 480, fps: 25, picture };
    server.json("POST /api/cameras/test-connection", tested);
    fireEvent.click(screen.getByTestId("test-connection"));
    const image = await screen.findByAltText("What the camera sees now");
    expect(image.getAttribute("src")).toBe(picture);
    expect(screen.getByTestId("tested").textContent).toContain("640 × 480");
    expect(server.asked.at(-1)?.body).toMatchObject({ name: "gate", url: "rtsp://me:secret@10.0.0.7/x", rate_hz: 5 });
  });

  it("clears the test result when the URL is edited, and cancels a running test", async () => {
    const server = await dialog();
    const tested = { ok: true, detail: "it sends H.264", codec: "h264", width: 640, height: 480, fps: 25, picture: null };
    server.json("POST /api/cameras/test-connection", tested);
    fireEvent.click(screen.getByTestId("test-connection"));
    await screen.findByText("The camera works.");
    fireEvent.input(screen.getByLabelText(/^Title/), { target: { value: "Gate" } });
    expect(screen.getByTestId("tested").dataset.state).toBe("true");
    fireEvent.input(screen.getByLabelText(/^Address/), { target: { value: "rtsp://10.0.0.8/y" } });
    expect(screen.getByTestId("tested").dataset.state).toBe("no");
    const late = held();
    server.on("POST /api/cameras/test-connection", () => late.response());
    fireEvent.click(screen.getByTestId("test-connection"));
    expect(screen.getByTestId("tested").dataset.state).toBe("running");
    fireEvent.input(screen.getByLabelText(/^Address/), { target: { value: "rtsp://10.0.0.9/z" } });
    late.answer(tested);
    await act(() => Promise.resolve());
    expect(screen.getByTestId("tested").dataset.state).toBe("no");
  });

  it("says why there is no frame", async () => {
    const server = await dialog();
    const tested = {
      ok: false,
      detail: "the camera refused the password",
      codec: "",
      width: null,
      height: null,
      fps: null,
      picture: null,
    };
    server.json("POST /api/cameras/test-connection", tested);
    fireEvent.click(screen.getByTestId("test-connection"));
    await screen.findByText("No frame arrived.");
    expect(screen.getByTestId("tested").textContent).toContain("The camera refused the password.");
  });

  it("adds it and opens its page, or says that the name is taken", async () => {
    window.location.hash = "#/cameras";
    const server = await dialog();
    server.problem("POST /api/cameras", 409, "there is a camera gate already");
    const submit = () => {
      fireEvent.click(screen.getByTestId("save-camera"));
    };
    submit();
    await screen.findByText("There is a camera gate already.");
    server.json("POST /api/cameras", wireCamera({ name: "gate" }), 201);
    submit();
    await waitFor(() => {
      expect(window.location.hash).toBe("#/cameras/gate");
    });
  });
});

describe("a camera's page", () => {
  it("shows the verdict face by face, plays, and has the last day", async () => {
    const server = new FakeCameraServer();
    server.json("GET /api/events", { items: [wireEvent()], next: null });
    server.json("GET /api/cameras/door/scores", { step_s: 60, items: [[1795300000, 0.1, 0.2, 0.3, "real"]] });
    const { services } = page("door", server);
    await screen.findByText("Last 24 hours");
    act(() => {
      server.results.send("result", wireResult());
    });
    await waitFor(() => {
      expect(screen.getByTestId("verdict").dataset.state).toBe("real");
    });
    expect(screen.getByText("Face 1")).toBeTruthy();
    expect(services.player.snapshot().camera).toBe("door");
    await waitFor(() => {
      expect(screen.getByTestId("scores").dataset.points).toBe("1");
    });
    expect((await screen.findByTestId("event")).dataset.kind).toBe("fake");
    expect(screen.getByTestId("facts").textContent).toContain("rtsp://viewer:***@10.0.0.5/stream");
  });

  it("says why there is no picture, and when the next attempt is", async () => {
    const server = new FakeCameraServer();
    const away = { state: "backing_off", reason: "the camera closed the connection", verdict: null, retry_at_s: Date.now() / 1000 + 3000 };
    server.json("GET /api/cameras", { items: [wireCamera(away)] });
    const { services } = page("door", server);
    expect((await screen.findByText("The camera closed the connection.", { exact: false })).textContent).toMatch(/Next try in \d+ s/);
    expect(screen.getByTestId("verdict").textContent).toBe("Reconnecting");
    expect(services.player.snapshot().state).toBe("idle");
  });

  it("shows no face of before an interruption", async () => {
    const server = new FakeCameraServer();
    page("door", server);
    await screen.findByText("Last 24 hours");
    act(() => {
      server.results.send("result", wireResult());
    });
    expect(await screen.findByText("Face 1")).toBeTruthy();
    act(() => {
      server.results.send("state", { state: "stalled", reason: "no frame came for 5 s", at_s: 1795300001 });
      server.results.send("state", { state: "live", reason: "frames are coming", at_s: 1795300002 });
    });
    await waitFor(() => {
      expect(screen.getByTestId("verdict").dataset.state).toBe("gathering");
    });
    expect(screen.queryByText("Face 1")).toBeNull();
  });

  it("reads the last picture again once there is no newer one", async () => {
    const server = new FakeCameraServer();
    page("door", server);
    await waitFor(() => {
      expect(asked(server, "snapshot")).toBe(1);
    });
    act(() => {
      server.feed.send("camera", wireCamera({ state: "backing_off", reason: "the camera closed the connection", verdict: null }));
    });
    await waitFor(() => {
      expect(asked(server, "snapshot")).toBe(2);
    });
  });

  it("shows an event at once, and forgets one that was deleted elsewhere", async () => {
    const server = new FakeCameraServer();
    page("door", server);
    await screen.findByText("Last 24 hours");
    act(() => {
      server.feed.send("event", wireEvent({ began_s: Date.now() / 1000 - 60, ended_s: null }));
      server.feed.send("event", wireEvent({ id: "01920000000000000000000000000002", began_s: Date.now() / 1000 - 90_000 }));
    });
    expect(await screen.findAllByTestId("event")).toHaveLength(1);
    fireEvent.change(screen.getByTestId("span"), { target: { value: "6" } });
    await waitFor(() => {
      expect(screen.queryByTestId("event")).toBeNull();
    });
  });

  it("has no title of its own unless it is given one", async () => {
    const server = new FakeCameraServer();
    server.json("GET /api/cameras", { items: [wireCamera({ title: "door" })] });
    server.json("PUT /api/cameras/door", wireCamera({ title: "door" }));
    page("door", server);
    fireEvent.click(await screen.findByTestId("edit-camera"));
    fireEvent.click(screen.getByTestId("save-camera"));
    await waitFor(() => {
      expect(server.asked.find(({ method }) => method === "PUT")?.body).toMatchObject({ name: "door", title: "" });
    });
  });

  it("stops and starts it", async () => {
    const server = new FakeCameraServer();
    server.json("POST /api/cameras/door/stop", wireCamera({ state: "stopped", verdict: null, enabled: false }));
    page("door", server);
    fireEvent.click(await screen.findByTestId("turn-camera"));
    await waitFor(() => {
      expect(screen.getByTestId("turn-camera").textContent).toBe("Start");
    });
  });

  it("does not resume playback after the user has left, if the camera could not be stopped", async () => {
    const server = new FakeCameraServer();
    const late = held();
    server.on("POST /api/cameras/door/stop", () => late.response());
    const { services, unmount } = page("door", server);
    fireEvent.click(await screen.findByTestId("turn-camera"));
    unmount();
    const play = vi.spyOn(services.player, "play");
    late.answer({ no: "camera" });
    await act(() => new Promise((resolve) => setTimeout(resolve)));
    expect(play).not.toHaveBeenCalled();
    expect(services.player.snapshot().state).toBe("idle");
  });

  it("requests a challenge once, even if the button is clicked twice", async () => {
    const server = new FakeCameraServer();
    const late = held();
    server.on("POST /api/cameras/door/challenge", () => late.response());
    page("door", server);
    const begin = await screen.findByTestId<HTMLButtonElement>("start-challenge");
    fireEvent.click(begin);
    fireEvent.click(begin);
    expect(server.asked.filter(({ path }) => path.endsWith("/challenge"))).toHaveLength(1);
    expect(begin.disabled).toBe(true);
  });

  it("changes its settings without asking for the password again", async () => {
    const server = new FakeCameraServer();
    server.json("PUT /api/cameras/door", wireCamera({ title: "Back door" }));
    page("door", server);
    fireEvent.click(await screen.findByTestId("edit-camera"));
    fireEvent.change(screen.getByLabelText(/^Title/), { target: { value: "Back door" } });
    fireEvent.click(screen.getByTestId("save-camera"));
    await screen.findByRole("heading", { level: 1, name: "Back door" });
    const { body } = server.asked.find(({ method }) => method === "PUT") ?? {};
    expect(body).toMatchObject({ name: "door", title: "Back door", evidence: true });
    expect(body).not.toHaveProperty("url");
  });

  it("asks before removing one", async () => {
    const server = new FakeCameraServer();
    server.json("DELETE /api/cameras/door", null, 204);
    window.location.hash = "#/cameras/door";
    page("door", server);
    fireEvent.click(await screen.findByTestId("remove-camera"));
    expect(server.asked.some(({ method }) => method === "DELETE")).toBe(false);
    fireEvent.click(screen.getByTestId("confirm"));
    await waitFor(() => {
      expect(window.location.hash).toBe("#/cameras");
    });
    expect((await screen.findByTestId("empty")).textContent).toContain("There is no camera with this name");
  });

  it("cannot change a camera of the settings file", async () => {
    const server = new FakeCameraServer();
    server.json("GET /api/cameras", { items: [wireCamera({ origin: "file" })] });
    page("door", server);
    await screen.findByTestId("turn-camera");
    expect(screen.queryByTestId("edit-camera")).toBeNull();
    expect(screen.queryByTestId("remove-camera")).toBeNull();
  });
});
