import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { PageBoundary } from "../src/components/PageBoundary";
import { ALL_EVENTS, openInstead } from "../src/route";
import { AccessToken } from "../src/stream/accessToken";
import { CheckStream } from "../src/stream/checkStream";
import { StreamFailure } from "../src/stream/failure";
import { Http } from "../src/stream/http";
import { stage, STATUS, WIRE_HELLO } from "./fakes";
import { servicesOf } from "./fakeCameras";

// There is no canvas here; the browser tests look at the drawing.
vi.mock("../src/components/timelineChart", () => ({
  TimelineChart: class {
    readonly show = vi.fn();
    readonly close = vi.fn();
  },
}));

const CAMERA = { kind: "camera", deviceId: null } as const;

beforeEach(() => {
  sessionStorage.clear();
  window.location.hash = "";
});
afterEach(cleanup);

/** The page in front of a server that wants this token, or none. */
function open(wanted: string | null = null) {
  const of = stage();
  const token = new AccessToken(() => sessionStorage);
  const { services, server } = servicesOf(new Http(token, vi.fn(), "http://localhost"));
  const status = vi
    .spyOn(server, "status")
    .mockImplementation(() =>
      wanted === null || token.value === wanted
        ? Promise.resolve(STATUS)
        : Promise.reject(new StreamFailure("token", "expected the token")),
    );
  const stream = new CheckStream(of.environment);
  render(<App services={services} stream={stream} token={token} media={of.environment.media} />);
  return { of, status, stream, token };
}

const enter = (token: string) => {
  fireEvent.change(screen.getByLabelText("Token"), { target: { value: token } });
  fireEvent.click(screen.getByText("Continue"));
};

describe("the page", () => {
  it("shows the server and the model", async () => {
    open();
    expect(await screen.findByText("version 0.1.0")).toBeTruthy();
    expect(screen.getByText("Meso4")).toBeTruthy();
    expect(document.title).toBe("Live check · stream-detect");
  });

  it("has one primary button, which starts and stops", async () => {
    const { of } = open();
    fireEvent.click(await screen.findByTestId("start"));
    fireEvent.click(await screen.findByTestId("stop"));
    await screen.findByTestId("start");
    await waitFor(() => {
      expect(of.source.track.stopped).toBe(true);
    });
  });

  it("shows a new model in use, and reads its status once", async () => {
    const { of, status } = open();
    await screen.findByText("Meso4");
    fireEvent.click(screen.getByTestId("start"));
    await waitFor(() => {
      expect(of.peers).toHaveLength(1);
    });
    status.mockClear();
    const other = { name: "other", title: "Streamnet", sha256: "cd".repeat(32) };
    status.mockResolvedValue({ ...STATUS, model: { ...STATUS.model, ...other } });
    act(() => {
      of.peers[0]?.channel.receive("hello", { ...WIRE_HELLO, model: { ...other } });
    });
    expect(await screen.findByText("Streamnet")).toBeTruthy();
    await waitFor(() => {
      expect(status).toHaveBeenCalledTimes(1);
    });
  });

  it("changes the source of a running check", async () => {
    const { of, stream } = open();
    fireEvent.click(await screen.findByTestId("start"));
    await waitFor(() => {
      expect(of.peers).toHaveLength(1);
    });
    fireEvent.change(screen.getByTestId("source"), { target: { value: "screen" } });
    await waitFor(() => {
      expect(of.peers.map((peer) => peer.closed)).toEqual([true, false]);
    });
    expect(stream.snapshot().source).toBe("screen");
    act(() => {
      stream.stop();
    });
  });
});

describe("a server with an access token", () => {
  it("asks for it once, and again if it was wrong", async () => {
    const { token } = open("secret");
    await screen.findByTestId("token-dialog");
    enter("wrong");
    await screen.findByText("The server refused that token.");
    enter("secret");
    await waitFor(() => {
      expect(screen.queryByTestId("token-dialog")).toBeNull();
    });
    expect(token.value).toBe("secret");
  });

  it("can change it while a page is open", async () => {
    const { of, stream } = open();
    of.server.refusals.push(new StreamFailure("token", "expected another token"));
    await act(() => stream.start(CAMERA));
    await screen.findByTestId("token-dialog");
    enter("new");
    await waitFor(() => {
      expect(screen.queryByTestId("token-dialog")).toBeNull();
    });
    expect(stream.snapshot().state).toBe("closed");
  });
});

describe("a page that is opened once something is done", () => {
  it("leads nobody away from a page opened meanwhile", () => {
    window.location.hash = "#/cameras/front%20door";
    openInstead({ page: "event", id: "01ab" }, ALL_EVENTS);
    expect(window.location.hash).toBe("#/cameras/front%20door");
    openInstead({ page: "camera", name: "front door" }, { page: "cameras" });
    expect(window.location.hash).toBe("#/cameras");
  });
});

describe("moving between pages", () => {
  const go = (hash: string) => {
    act(() => {
      window.location.hash = hash;
      window.dispatchEvent(new HashChangeEvent("hashchange"));
    });
  };

  it("gives each its title, also on the way back", async () => {
    open();
    await screen.findByText("version 0.1.0");
    go("#/cameras/door");
    await waitFor(() => {
      expect(document.title).toBe("door · stream-detect");
    });
    go("#/cameras");
    expect(document.title).toBe("Cameras · stream-detect");
    go("#/cameras/door");
    await waitFor(() => {
      expect(document.title).toBe("door · stream-detect");
    });
  });

  it("puts the focus on the content, but not when only a filter changes", async () => {
    open();
    await screen.findByText("version 0.1.0");
    go("#/events");
    expect(document.activeElement).toBe(screen.getByRole("main"));
    screen.getByTestId("account").focus();
    go("#/events?kind=fake");
    expect(document.activeElement).toBe(screen.getByTestId("account"));
  });
});

describe("a page that cannot be loaded", () => {
  function Broken(): never {
    throw new TypeError("Failed to fetch dynamically imported module");
  }

  it("says so, and reloads only when the server answers", async () => {
    vi.spyOn(console, "error").mockReturnValue(undefined); // React logs what it caught
    const answers = vi.fn().mockResolvedValueOnce(false).mockResolvedValue(true);
    const reload = vi.fn();
    render(
      <PageBoundary running answers={answers} onReload={reload}>
        <Broken />
      </PageBoundary>,
    );
    expect(screen.getByRole("alert").textContent).toContain("Reloading ends the live check.");
    fireEvent.click(screen.getByText("Reload"));
    await screen.findByText(/The server does not answer/);
    expect(reload).not.toHaveBeenCalled();
    fireEvent.click(screen.getByText("Reload"));
    await waitFor(() => {
      expect(reload).toHaveBeenCalledOnce();
    });
  });
});
