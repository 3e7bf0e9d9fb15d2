"""A real Firefox with its default settings, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/)."""

import itertools
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.patience import PATIENCE_S, until

NAMES = ("firefox-esr", "firefox")

ALLOWED = {
    "media.navigator.permission.disabled": True,  # nobody can click "Allow"
    "media.autoplay.default": 0,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "services.settings.server": "data:,",
}
"""Preferences that differ from the defaults: no prompts, and connections to the page only. None concern WebRTC."""


def program() -> str | None:
    """Path of Firefox; None if it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A tab, and all warnings and errors that it logged.

    Args:
        browser: the browser of the tab.
        context: id of the browsing context.
    """

    def __init__(self, browser: "Firefox", context: str) -> None:
        self._browser = browser
        self.context = context

    @property
    def errors(self) -> list[str]:
        """Errors and warnings of scripts and of the console, oldest first."""
        return [
            entry["text"]
            for entry in self._browser.log
            if entry["level"] in {"error", "warn"} and entry["source"]["context"] == self.context
        ]

    def open(self, url: str) -> None:
        """Opens an address, and waits until it has loaded."""
        self._browser.send("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The JSON value of a JavaScript expression, awaited if it is a promise.

        Raises:
            RuntimeError: the expression threw.
        """
        answer = self._browser.send(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))",
            target={"context": self.context},
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def until(self, expression: str | Callable[[], Any]) -> Any:
        """Waits for the first true value of an expression or a function."""
        look = expression if callable(expression) else lambda: self.evaluate(expression)
        return until(look, describe=lambda: f"({expression}); errors: {self.errors}; {self.evaluate(TEXT)}")

    def click(self, selector: str) -> None:
        """Clicks an element, once it exists."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def choose_files(self, selector: str, *files: Path) -> None:
        """Chooses files in a file input, like a user in the dialog."""
        self.until(f"document.querySelector({json.dumps(selector)}) !== null")
        found = self._browser.send(
            "browsingContext.locateNodes", context=self.context, locator={"type": "css", "value": selector}
        )
        element = {"sharedId": found["nodes"][0]["sharedId"]}
        self._browser.send("input.setFiles", context=self.context, element=element, files=[str(f) for f in files])


TEXT = "document.body.innerText.slice(0, 600)"


class Firefox:
    """A browser process. Commands are sent from one thread.

    Args:
        socket: WebSocket of the BiDi session.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._arrived = threading.Condition()
        self.log: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, name="bidi")
        self._reader.start()
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=["log.entryAdded"])

    def send(self, method: str, **parameters: Any) -> Any:
        """The result of a command.

        Raises:
            RuntimeError: Firefox refused it.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        with self._arrived:
            assert self._arrived.wait_for(lambda: number in self._answers, PATIENCE_S), f"no answer to {method}"
            answer = self._answers.pop(number)
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]

    def page(self, preload: str = "") -> Page:
        """A new tab, in which the script runs before those of the page."""
        if preload:
            self.send("script.addPreloadScript", functionDeclaration=f"() => {{ {preload} }}")
        return Page(self, self.send("browsingContext.create", type="tab")["context"])

    def close(self) -> None:
        """Ends the session."""
        self._socket.close()
        self._reader.join(PATIENCE_S)

    def _read(self) -> None:
        try:
            for text in self._socket:
                message = json.loads(text)
                if message["type"] == "event":
                    self.log.append(message["params"])
                    continue
                with self._arrived:
                    self._answers[message["id"]] = message
                    self._arrived.notify_all()
        except ConnectionClosed:
            pass


@contextmanager
def running_firefox(path: str) -> Iterator[Firefox]:
    """A new Firefox process, with a new profile and without a window."""
    with tempfile.TemporaryDirectory(prefix="firefox-") as profile:
        preferences = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in ALLOWED.items())
        Path(profile, "user.js").write_text("".join(preferences), encoding="utf-8")
        command = [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        output: list[str] = []
        stderr = process.stderr
        assert stderr is not None
        reader = threading.Thread(target=lambda: output.extend(iter(stderr.readline, "")))
        reader.start()
        try:
            address = until(lambda: re.search(r"WebDriver BiDi listening on (ws://\S+)", "".join(output)))
            with connect(f"{address[1]}/session", max_size=None, compression=None, proxy=None) as socket:
                firefox = Firefox(socket)
                yield firefox
                firefox.close()
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            reader.join(PATIENCE_S)
            stderr.close()
