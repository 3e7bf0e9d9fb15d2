import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ConfirmDialog } from "../src/components/ConfirmDialog";
import { Message } from "../src/components/Message";
import { ProbabilityBand } from "../src/components/ProbabilityBand";
import { SourcePicker } from "../src/components/SourcePicker";
import { Stage } from "../src/components/Stage";
import { TokenDialog } from "../src/components/TokenDialog";
import { VerdictPanel } from "../src/components/VerdictPanel";
import { VirtualCameraHint } from "../src/components/VirtualCameraHint";
import { CheckStream, type StreamSnapshot } from "../src/stream/checkStream";
import { FAILURE_CODES, StreamFailure } from "../src/stream/failure";
import { parseMessage } from "../src/stream/messages";
import { shownVerdict } from "../src/words";
import { stage, THRESHOLDS, wireResult } from "./fakes";

const IDLE = new CheckStream(stage().environment).snapshot();

afterEach(cleanup);

function liveWith(change: Record<string, unknown>): StreamSnapshot {
  const message = parseMessage(JSON.stringify({ type: "result", value: wireResult(change) }));
  if (message?.type !== "result") throw new Error("expected a result");
  return { ...IDLE, state: "live", result: message.value };
}

describe("VerdictPanel", () => {
  const panel = (snapshot: StreamSnapshot) => (
    <VerdictPanel verdict={shownVerdict(snapshot)} result={snapshot.result} thresholds={THRESHOLDS} limits={["Blur misleads it."]} />
  );

  it("shows the state as a word, also for machines", () => {
    render(panel(liveWith({ state: "fake", reason: "steady over 20 usable frames" })));
    expect(screen.getByTestId("verdict").dataset.state).toBe("fake");
    expect(screen.getByTestId("verdict").textContent).toBe("Fake");
    expect(screen.getByTestId("verdict-reason").textContent).toBe("Fake: steady over 20 usable frames");
  });

  it("announces a new state, but not each result", () => {
    const { rerender } = render(panel(liveWith({ state: "real", reason: "steady over 20 usable frames" })));
    const region = screen.getByTestId("announcement");
    expect(region.getAttribute("aria-live")).toBe("polite");
    rerender(panel(liveWith({ state: "real", reason: "steady over 21 usable frames" })));
    expect(region.textContent).toBe("Real: steady over 20 usable frames");
    rerender(panel(liveWith({ state: "uncertain", reason: "scores disagree" })));
    expect(region.textContent).toBe("Uncertain: scores disagree");
  });

  it("has the limits one click away", () => {
    render(panel(IDLE));
    const limits = screen.getByTestId("limits");
    expect(limits.textContent).toContain("Blur misleads it.");
    expect(limits.querySelector("a")?.getAttribute("href")).toBe("#/models");
  });

  it.each([
    ["frozen", "the picture has stood still for 31 s", "Frozen feed: The picture has stood still for 31 s."],
    ["looped", "the picture repeats every 19 s", "Looped feed: The picture repeats every 19 s."],
  ])("explains a %s feed and its consequence", (feed, feed_reason, words) => {
    render(panel(liveWith({ state: "uncertain", feed, feed_reason })));
    expect(screen.getByTestId("feed").textContent).toBe(`${words} Such a feed is never called real.`);
  });

  it("says nothing about a live feed or an old result", () => {
    const { rerender } = render(panel(liveWith({})));
    expect(screen.queryByTestId("feed")).toBeNull();
    rerender(panel({ ...liveWith({ feed: "frozen", feed_reason: "the picture has stood still for 31 s" }), stale: true }));
    expect(screen.queryByTestId("feed")).toBeNull();
  });

  it("lists each face with why it was refused", () => {
    render(panel(liveWith({})));
    expect(screen.getByText("Face 1")).toBeTruthy();
  });
});

describe("ProbabilityBand", () => {
  it("gives value and thresholds to screen readers", () => {
    render(<ProbabilityBand value={0.08} thresholds={THRESHOLDS} />);
    expect(screen.getByRole("meter").getAttribute("aria-valuetext")).toBe("0.08; real at or below 0.20, fake at or above 0.80");
  });

  it("does not round thresholds", () => {
    render(<ProbabilityBand value={0.08} thresholds={{ ...THRESHOLDS, realEnter: 0.0005, fakeEnter: 0.002 }} />);
    expect(screen.getByRole("meter").getAttribute("aria-valuetext")).toBe("0.08; real at or below 0.0005, fake at or above 0.002");
  });
});

describe("Message", () => {
  it.each(FAILURE_CODES)("has a text for %s", (code) => {
    render(<Message failure={new StreamFailure(code, "no codec in common")} source="camera" browser="chrome" />);
    expect(screen.getByTestId("message").dataset.code).toBe(code);
    expect(screen.getByRole("alert").textContent.length).toBeGreaterThan(30);
  });
});

describe("Stage", () => {
  const shown = (snapshot: StreamSnapshot) =>
    render(<Stage snapshot={snapshot} browser="chrome" host="127.0.0.1:8080" onToken={vi.fn()} />);

  it("says what happens to the video before asking for the camera", () => {
    shown(IDLE);
    expect(document.body.textContent).toMatch(/analysed on this server, not kept/);
  });

  it("counts down to the next attempt, outside the alert", () => {
    vi.useFakeTimers();
    const failure = new StreamFailure("server-full", "all taken", 5);
    shown({ ...IDLE, state: "waiting", failure, retryAtMs: performance.now() + 5000 });
    expect(screen.getByTestId("message").textContent).toContain("Retrying in 5 s");
    act(() => {
      vi.advanceTimersByTime(2000);
    });
    expect(screen.getByTestId("message").textContent).toContain("Retrying in 3 s");
    expect(screen.getByRole("alert").textContent).not.toContain("Retrying");
    vi.useRealTimers();
  });

  it("shows the attempt while reconnecting", () => {
    shown({ ...IDLE, state: "reconnecting", attempt: 2, failure: new StreamFailure("connection-lost", "gone") });
    expect(screen.getByTestId("message").textContent).toContain("Reconnecting, attempt 2");
  });
});

describe("SourcePicker", () => {
  const cameras = [{ deviceId: "a", label: "Desk camera" }];

  it("offers the cameras and, if the browser supports it, a shared screen", () => {
    const onChoose = vi.fn();
    const { rerender } = render(
      <SourcePicker choice={{ kind: "camera", deviceId: null }} cameras={cameras} canShare onChoose={onChoose} />,
    );
    fireEvent.change(screen.getByLabelText("Source"), { target: { value: "camera:a" } });
    fireEvent.change(screen.getByLabelText("Source"), { target: { value: "screen" } });
    expect(onChoose.mock.calls).toEqual([[{ kind: "camera", deviceId: "a" }], [{ kind: "screen" }]]);
    rerender(<SourcePicker choice={{ kind: "camera", deviceId: null }} cameras={cameras} canShare={false} onChoose={onChoose} />);
    expect(screen.getAllByRole("option")).toHaveLength(2);
  });
});

describe("VirtualCameraHint", () => {
  it("names the program, and says that the name does not affect the verdict", () => {
    render(<VirtualCameraHint label="OBS Virtual Camera" program="OBS Studio" />);
    expect(screen.getByTestId("virtual-camera").textContent).toMatch(/“OBS Virtual Camera” is OBS Studio.*does not affect the verdict/);
  });

  it("says nothing about a real camera", () => {
    render(<VirtualCameraHint label="Integrated Camera (04f2:b6d9)" program={null} />);
    expect(screen.queryByTestId("virtual-camera")).toBeNull();
  });
});

describe("ConfirmDialog", () => {
  it("stays open while its request is in progress, and shows why it failed", async () => {
    const onClose = vi.fn();
    let refuse: (failure: StreamFailure) => void = () => undefined;
    const onConfirm = () => new Promise<void>((_, reject) => (refuse = reject));
    render(
      <ConfirmDialog title="Delete this record?" action="Delete" onConfirm={onConfirm} onClose={onClose}>
        It will be deleted.
      </ConfirmDialog>,
    );
    const dialog = screen.getByTestId<HTMLDialogElement>("confirm-dialog");
    const escape = () => fireEvent(dialog, new Event("cancel", { cancelable: true }));
    expect(escape()).toBe(true);
    fireEvent.click(screen.getByTestId("confirm"));
    expect(escape()).toBe(false);
    expect(screen.getByText<HTMLButtonElement>("Cancel").disabled).toBe(true);
    act(() => {
      dialog.close(); // as some browsers do at the second Escape
    });
    expect(dialog.open).toBe(true);
    expect(onClose).not.toHaveBeenCalled();
    await act(async () => {
      refuse(new StreamFailure("server-error", "the database does not answer"));
      await Promise.resolve();
    });
    expect(screen.getByRole("alert").textContent).toBe("The database does not answer.");
    fireEvent.click(screen.getByText("Cancel"));
    expect(onClose).toHaveBeenCalledTimes(1);
  });
});

describe("TokenDialog", () => {
  it("passes on the token, and says when it was refused", () => {
    const onToken = vi.fn();
    render(<TokenDialog refused onToken={onToken} onClose={vi.fn()} />);
    expect(screen.getByText("The server refused that token.")).toBeTruthy();
    const input = screen.getByLabelText("Token");
    fireEvent.change(input, { target: { value: " secret " } });
    fireEvent.click(screen.getByText("Continue"));
    expect(onToken).toHaveBeenCalledWith("secret");
  });
});
