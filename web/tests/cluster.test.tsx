import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, describe, expect, it } from "vitest";
import { Credentials } from "../src/components/Credentials";
import { Cluster } from "../src/pages/Cluster";
import { ServicesContext } from "../src/services";
import { FakeCameraServer, httpOf, servicesOf } from "./fakeCameras";

afterEach(cleanup);

function open(body: unknown): void {
  const server = new FakeCameraServer();
  server.json("GET /api/cluster", body);
  render(
    <ServicesContext value={servicesOf(httpOf(server)).services}>
      <Cluster />
    </ServicesContext>,
  );
}

describe("the cluster", () => {
  it("has nodes with their load and cameras, and moves with their reasons", async () => {
    const node = {
      id: "a",
      address: "10.0.0.1",
      state: "lost",
      problem: "",
      workers: 1,
      load: 0.5,
      cores: 1.2,
      memory_bytes: 4e8,
      cameras: ["door"],
      analyses: 2,
      live_checks: 1,
    };
    const move = { at: 1795300000, camera: "door", from: "b", to: "a", why: "node b does not answer" };
    open({ nodes: [node], moves: [move] });
    expect((await screen.findByTestId("node")).textContent).toBe(
      "aLost: it does not respond10.0.0.1 · 1 worker · load 0.50 · 1.2 cores busy · 400 MB · 2 analyses · 1 live checkdoor",
    );
    expect(screen.getByRole("link", { name: "door" }).getAttribute("href")).toBe("#/cameras/door");
    expect(screen.getByTestId("move").textContent).toContain("door from b to a: node b does not answer");
  });

  it("says so without one", async () => {
    open({ nodes: [], moves: [] });
    await screen.findByText("One process watches all cameras.");
  });
});

describe("Content Credentials", () => {
  const none = { signer: null, issuer: null, generated: null, actions: [], claimGenerator: null, problem: null };

  it("are reported as broken, independent of the verdict", () => {
    render(
      <Credentials
        credentials={{ ...none, state: "broken", signer: "A. Reporter", actions: ["c2pa.edited"], problem: "the hash differs" }}
      />,
    );
    expect(screen.getByTestId("credentials").textContent).toMatch(
      /Broken: the signature is invalid.*The hash differs\.Signed byA. ReporterEditsc2pa.editedIndependent of the verdict/,
    );
  });

  it("may declare the file generated, with a hint if the signer is not trusted", () => {
    const { rerender } = render(<Credentials credentials={{ ...none, state: "valid", generated: true }} />);
    expect(screen.getByTestId("credentials").textContent).toMatch(/made by or with a generator\.Independent/);
    rerender(<Credentials credentials={{ ...none, state: "untrusted", generated: true }} />);
    expect(screen.getByTestId("credentials").textContent).toContain("No trusted signer confirms that.");
  });

  it("are absent from most files, which says nothing", () => {
    render(<Credentials credentials={{ ...none, state: "none" }} />);
    expect(screen.getByTestId("credentials").textContent).toContain("That says nothing about whether it is real.");
  });
});
