import { act, cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { AccessToken } from "../src/stream/accessToken";
import { CheckStream } from "../src/stream/checkStream";
import { oidcPath } from "../src/stream/access";
import { browserName } from "../src/stream/userAgent";
import { FakeCameraServer, held, httpOf, servicesOf } from "./fakeCameras";
import { stage, WIRE_STATUS } from "./fakes";

vi.mock("../src/components/timelineChart", () => ({
  TimelineChart: class {
    readonly show = vi.fn();
    readonly close = vi.fn();
  },
}));

const ASKS = { needed: true, password: true, oidc: null };
const NOBODY = { name: null, role: null, by: null, sign_in: ASKS };
const me = (name: string, role: string) => ({ name, role, by: "session", sign_in: ASKS });
const wireUser = (change: Record<string, unknown> = {}) => ({
  name: "anna",
  role: "admin",
  disabled: false,
  created_at: 1795300000,
  last_sign_in_at: null,
  ...change,
});
const wireSession = (change: Record<string, unknown> = {}) => ({
  id: "cd".repeat(16),
  user: "anna",
  began_at: 1795300000,
  seen_at: 1795300060,
  expires_at: 1795343200,
  address: "10.0.0.9",
  user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  current: false,
  ...change,
});
const wireToken = (change: Record<string, unknown> = {}) => ({
  id: "ab".repeat(16),
  name: "recorder",
  role: "viewer",
  camera: null,
  owner: "anna",
  created_at: 1795300000,
  expires_at: null,
  last_used_at: null,
  ...change,
});

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
  sessionStorage.clear();
  window.location.hash = "";
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

/** The page in front of a server with users; `who` is signed in. */
function open(who: Record<string, unknown> = NOBODY, hash = "") {
  const server = new FakeCameraServer();
  server.json("GET /api/me", who);
  server.json("GET /api/status", WIRE_STATUS);
  window.location.hash = hash;
  const of = stage();
  const { services } = servicesOf(httpOf(server));
  const stream = new CheckStream(of.environment);
  const stop = vi.spyOn(stream, "stop");
  render(<App services={services} stream={stream} token={new AccessToken(() => sessionStorage)} media={of.environment.media} />);
  return { server, services, stop };
}

const asked = (server: FakeCameraServer, method: string, path: string) =>
  server.asked.filter((one) => one.method === method && one.path === path);

async function signIn(name: string, password: string): Promise<void> {
  fireEvent.change(await screen.findByLabelText("Name"), { target: { value: name } });
  fireEvent.change(screen.getByLabelText("Password"), { target: { value: password } });
  fireEvent.click(screen.getByTestId("sign-in-submit"));
}

describe("a role", () => {
  it("leads viewers to the cameras first", async () => {
    open(me("anna", "viewer"));
    await screen.findByText("version 0.1.0");
    expect(window.location.hash).toBe("#/cameras");
  });

  it("that is not known yet, before a token, leads nowhere", async () => {
    open({ ...NOBODY, sign_in: { needed: true, password: false, oidc: null } });
    await screen.findByTestId("token-dialog");
    expect(window.location.hash).toBe("");
    expect(screen.getByTestId("start")).toBeTruthy();
  });

  it("that does not suffice for a page is said without asking the server", async () => {
    const { server } = open(me("anna", "viewer"), "#/users");
    expect(await screen.findByText("This page needs the role admin; yours is viewer.")).toBeTruthy();
    expect(asked(server, "GET", "/api/users")).toEqual([]);
  });
});

describe("signing in", () => {
  it("comes first, before any other request to the server", async () => {
    const { server } = open();
    await screen.findByTestId("sign-in");
    expect(screen.queryByTestId("start")).toBeNull();
    expect(server.asked.map(({ path }) => path)).toEqual(["/api/me"]);
  });

  it("says that the name or the password is wrong, but not which", async () => {
    const { server } = open();
    server.problem("POST /api/session", 401, "expected the name and password of a user");
    await signIn("anna", "wrong");
    await waitFor(() => {
      expect(screen.getByRole("alert").textContent).toBe("The name or the password is wrong.");
    });
  });

  it("says how long to wait after too many wrong passwords", async () => {
    const { server } = open();
    server.problem("POST /api/session", 429, "wait 30 s, then try again");
    await signIn("anna", "wrong");
    await waitFor(() => {
      expect(screen.getByRole("alert").textContent).toBe("Wait 30 s, then try again.");
    });
  });

  it("opens the page, and a stored token is no longer sent", async () => {
    sessionStorage.setItem("stream-detect.token", "old");
    const { server } = open();
    server.json("POST /api/session", me("anna", "admin"));
    await signIn("anna", "correct horse battery");
    await screen.findByText("version 0.1.0");
    expect(screen.getByTestId("account").textContent).toBe("anna · Admin");
    expect(asked(server, "POST", "/api/session")[0]?.body).toEqual({ name: "anna", password: "correct horse battery" });
    expect(asked(server, "GET", "/api/status")[0]?.headers.get("Authorization")).toBeNull();
  });

  it("uses a provider if configured, and returns to the same page", async () => {
    open({ ...NOBODY, sign_in: { needed: true, password: false, oidc: "Example" } });
    expect((await screen.findByTestId("oidc")).textContent).toBe("Sign in with Example");
    expect(oidcPath("#/events?camera=a b")).toBe("api/oidc/login?to=%2F%23%2Fevents%3Fcamera%3Da+b");
  });

  it("is required again when the session ends elsewhere, and running checks are stopped", async () => {
    const { server, stop, services } = open(me("anna", "admin"), "#/account");
    await screen.findByTestId("sign-out");
    server.json("GET /api/me", NOBODY);
    server.problem("GET /api/users", 401, "the session has ended");
    stop.mockClear();
    await act(() => services.access.users().catch(() => []));
    await screen.findByTestId("sign-in");
    expect(stop).toHaveBeenCalled();
  });

  it("is not undone by a response to an earlier request", async () => {
    const { server, services } = open();
    await screen.findByTestId("sign-in");
    const before = held();
    server.on("GET /api/me", () => before.response());
    const asking = services.identity.refresh();
    server.json("POST /api/session", me("anna", "admin"));
    await signIn("anna", "correct horse battery");
    await screen.findByText("version 0.1.0");
    before.answer(NOBODY);
    await act(() => asking);
    expect(screen.getByTestId("account").textContent).toBe("anna · Admin");
  });

  it("removes the uploads of the user who was signed in", async () => {
    const { server, services } = open(me("anna", "admin"), "#/account");
    await screen.findByTestId("sign-out");
    const clear = vi.spyOn(services.uploads, "clear");
    server.json("DELETE /api/session", null, 204);
    server.json("GET /api/me", NOBODY);
    fireEvent.click(screen.getByTestId("sign-out"));
    await screen.findByTestId("sign-in");
    expect(clear).toHaveBeenCalled();
  });

  it("ends everywhere, and nothing stays visible", async () => {
    const { server } = open(me("anna", "admin"), "#/account");
    server.json("DELETE /api/sessions", null, 204);
    fireEvent.click(await screen.findByTestId("sign-out-everywhere"));
    server.json("GET /api/me", NOBODY);
    await screen.findByTestId("sign-in");
    expect(asked(server, "DELETE", "/api/sessions")).toHaveLength(1);
    expect(document.body.textContent).not.toContain("anna");
  });
});

describe("roles", () => {
  const links = () => within(screen.getByRole("navigation", { name: "Pages" })).getAllByRole("link");

  it("a viewer is offered only what a viewer may do", async () => {
    open(me("vera", "viewer"), "#/cameras");
    await screen.findByTestId("tile");
    expect(links().map((link) => link.textContent)).toEqual(["Cameras", "Events", "Analyses", "Models"]);
    expect(screen.queryByTestId("add-camera")).toBeNull();
    window.location.hash = "#/";
    await screen.findByTestId("may-not");
    expect(screen.getByTestId<HTMLButtonElement>("start").disabled).toBe(true);
  });

  it("an operator can check, but not change cameras", async () => {
    open(me("otto", "operator"), "#/cameras");
    await screen.findByTestId("tile");
    expect(screen.queryByTestId("add-camera")).toBeNull();
    expect(links()[0]?.textContent).toBe("Live check");
    window.location.hash = "#/account";
    await screen.findByTestId("sign-out");
    const server = within(screen.getByRole("navigation", { name: "Server" }));
    expect(server.getAllByRole("link").map((link) => link.textContent)).toEqual(["Account", "Cluster"]);
  });

  it("a server without users offers everything", async () => {
    open({ name: null, role: "admin", by: "open", sign_in: { needed: false, password: false, oidc: null } }, "#/cameras");
    await screen.findByTestId("add-camera");
    expect(screen.getByTestId("account").textContent).toBe("Server");
  });
});

describe("the account", () => {
  it("changes the password", async () => {
    const { server } = open(me("anna", "viewer"), "#/account");
    server.json("PUT /api/me/password", null, 204);
    fireEvent.change(await screen.findByLabelText("Current password"), { target: { value: "old" } });
    fireEvent.change(screen.getByLabelText(/New password/), { target: { value: "a much longer one" } });
    fireEvent.click(screen.getByTestId("change-password"));
    await screen.findByText("The password was changed.");
    expect(asked(server, "PUT", "/api/me/password")[0]?.body).toEqual({ current: "old", new: "a much longer one" });
  });

  it("lists sign-ins, and ends another one", async () => {
    const { server } = open(me("anna", "viewer"), "#/account");
    server.json("GET /api/sessions", { items: [wireSession({ id: "ef".repeat(16), current: true }), wireSession()] });
    server.json(`DELETE /api/sessions/${"cd".repeat(16)}`, null, 204);
    const [own, other] = await screen.findAllByTestId("session");
    expect(own?.textContent).toContain("Firefox on Linux (this browser)");
    expect(other?.textContent).toMatch(/10\.0\.0\.9 · since .* · last seen /);
    server.json("GET /api/sessions", { items: [wireSession({ current: true })] });
    fireEvent.click(screen.getByTestId("end-session"));
    await waitFor(() => {
      expect(screen.getAllByTestId("session")).toHaveLength(1);
    });
    expect(screen.queryByTestId("end-session")).toBeNull();
  });

  it("creates a token whose value is shown once, and revokes it", async () => {
    const { server } = open(me("anna", "operator"), "#/account");
    server.json("GET /api/tokens", { items: [] });
    server.json("POST /api/tokens", { ...wireToken(), token: "sd_secret" }, 201);
    fireEvent.change(await screen.findByLabelText("Name"), { target: { value: "recorder" } });
    expect(within(screen.getByLabelText("Role")).getAllByRole("option")).toHaveLength(2);
    server.json("GET /api/tokens", { items: [wireToken()] });
    fireEvent.click(screen.getByTestId("make-token"));
    expect((await screen.findByTestId("made-token")).textContent).toContain("sd_secret");
    const wish = { name: "recorder", role: "viewer", expires_in_days: 90, camera: null };
    expect(asked(server, "POST", "/api/tokens")[0]?.body).toEqual(wish);
    server.json(`DELETE /api/tokens/${"ab".repeat(16)}`, null, 204);
    fireEvent.click(await screen.findByTestId("revoke"));
    server.json("GET /api/tokens", { items: [] });
    fireEvent.click(screen.getByTestId("confirm"));
    await waitFor(() => {
      expect(screen.queryByTestId("token")).toBeNull();
    });
  });
});

describe("users", () => {
  it("adds the first user, who is an admin", async () => {
    const { server } = open({ name: null, role: "admin", by: "open", sign_in: { needed: false, password: false, oidc: null } }, "#/users");
    server.json("GET /api/users", { items: [] });
    server.json("POST /api/users", wireUser(), 201);
    await screen.findByText("There are no users: nobody has to sign in.");
    fireEvent.click(screen.getByTestId("add-user"));
    const dialog = within(screen.getByTestId("user-dialog"));
    expect(dialog.getAllByRole("option")).toHaveLength(1);
    fireEvent.change(dialog.getByLabelText(/Name/), { target: { value: "anna" } });
    fireEvent.change(dialog.getByLabelText(/Password/), { target: { value: "correct horse battery" } });
    server.json("GET /api/me", NOBODY);
    fireEvent.click(dialog.getByText("Add"));
    await screen.findByTestId("sign-in");
    expect(asked(server, "POST", "/api/users")[0]?.body).toEqual({ name: "anna", role: "admin", password: "correct horse battery" });
  });

  it("changes a role, or says why it cannot", async () => {
    const { server } = open(me("anna", "admin"), "#/users");
    server.json("GET /api/users", { items: [wireUser(), wireUser({ name: "vera", role: "viewer", disabled: true })] });
    server.json("PATCH /api/users/vera", wireUser({ name: "vera" }));
    server.problem("PATCH /api/users/anna", 409, "expected an admin to be left");
    fireEvent.change(await screen.findByLabelText("Role of vera"), { target: { value: "operator" } });
    await waitFor(() => {
      expect(asked(server, "PATCH", "/api/users/vera")[0]?.body).toEqual({ role: "operator" });
    });
    await waitFor(() => {
      expect(screen.getByLabelText<HTMLSelectElement>("Role of vera").disabled).toBe(false); // the first change is done
    });
    fireEvent.change(screen.getByLabelText("Role of anna"), { target: { value: "viewer" } });
    await screen.findByText("Expected an admin to be left.");
    fireEvent.click(screen.getByText("Enable"));
    await waitFor(() => {
      expect(asked(server, "PATCH", "/api/users/vera").at(-1)?.body).toEqual({ disabled: false });
    });
  });
});

describe("the sign-ins of a user", () => {
  it("can be ended by an admin, individually or all at once", async () => {
    const { server } = open(me("anna", "admin"), "#/users");
    server.json("GET /api/users", { items: [wireUser({ name: "vera" })] });
    server.json("GET /api/users/vera/sessions", { items: [wireSession({ user: "vera", user_agent: "curl/8.5.0" })] });
    server.problem(`DELETE /api/sessions/${"cd".repeat(16)}`, 404, "it may have ended already");
    server.json("DELETE /api/users/vera/sessions", null, 204);
    fireEvent.click(await screen.findByTestId("user-sessions"));
    const dialog = within(screen.getByTestId("sessions-dialog"));
    expect((await dialog.findByTestId("session")).textContent).toContain("curl/8.5.0");
    fireEvent.click(dialog.getByTestId("end-session"));
    await dialog.findByText("It may have ended already.");
    fireEvent.click(dialog.getByTestId("end-sessions"));
    await waitFor(() => {
      expect(screen.queryByTestId("sessions-dialog")).toBeNull();
    });
    expect(asked(server, "DELETE", "/api/users/vera/sessions")).toHaveLength(1);
  });

  it.each([
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0",
      "Edge on Windows",
    ],
    [
      "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36",
      "Chrome on Android",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
      "Safari on iPhone",
    ],
    ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on macOS"],
    ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/139.0.0.0 Safari/537.36", "Chrome on Linux"],
    ["curl/8.5.0", "curl/8.5.0"],
    ["", "Unknown browser"],
  ])("name the browser of %j", (userAgent, name) => {
    expect(browserName(userAgent)).toBe(name);
  });
});

describe("the audit log", () => {
  const entry = (id: number, action: string) => ({
    id,
    at: 1795300000,
    who: "anna",
    by: "session",
    address: "10.0.0.9",
    action,
    target: "door",
    result: "refused",
    detail: "expected the role admin",
  });

  it("is filtered by the URL, and read page by page", async () => {
    const { server } = open(me("anna", "admin"), "#/audit?who=anna&result=refused");
    server.on("GET /api/audit", (_, url) => {
      const older = url.searchParams.has("before");
      const items = older ? [entry(1, "camera.add")] : [entry(2, "camera.delete")];
      return new Response(JSON.stringify({ items, next: older ? null : "2" }));
    });
    expect((await screen.findByTestId("audit-entry")).textContent).toMatch(/camera.deletedoorRefused.*anna · session · 10.0.0.9/);
    fireEvent.click(screen.getByTestId("older"));
    await waitFor(() => {
      expect(screen.getAllByTestId("audit-entry")).toHaveLength(2);
    });
    expect(server.asked.map(({ path }) => path).filter((path) => path.startsWith("/api/audit"))).toEqual([
      "/api/audit?who=anna&result=refused",
      "/api/audit?who=anna&result=refused&before=2",
    ]);
    fireEvent.change(screen.getByLabelText(/What/), { target: { value: "camera." } });
    fireEvent.click(screen.getByTestId("filter-audit"));
    await waitFor(() => {
      expect(window.location.hash).toBe("#/audit?who=anna&action=camera.&result=refused");
    });
  });
});
