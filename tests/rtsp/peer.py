"""The RTSP server of the tests as an object: `with RtspServer(folder) as server: server.url("face")`."""

import json
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from select import select
from typing import Self

from tests.ports import free_port
from tests.rtsp.films import FILMS, Film, write_units

PYTHON = "/usr/bin/python3"
ANSWER_S = 60


class RtspServer:
    """A process that serves videos as cameras; after a restart, mounts and ports are the same.

    Args:
        folder: folder of the encoded videos; existing ones are reused.
        address: address on which it listens.
        within: prefix of its command (`ip netns exec NAME`).
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1", within: Sequence[str] = ()) -> None:
        self._folder = folder
        self._address = address
        self._within = within
        self._log = folder / "rtsp-server.log"
        self._orders: dict[str, dict[str, object]] = {}
        self._process: subprocess.Popen[str] | None = None
        self._ports: dict[object, object] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._running().pid

    def url(self, film: str = "face", *, user: str = "", password: str = "") -> str:
        """Address of one of `FILMS`, with the given credentials, right or wrong."""
        if f"/{film}" not in self._orders:
            self.mount(film, FILMS[film])
        credentials = f"{user}:{password}@" if user else ""
        port = self._ports[self._orders[f"/{film}"].get("lock", "")]
        return f"rtsp://{credentials}{self._address}:{port}/{film}"

    def readers(self, film: str) -> tuple[int, int]:
        """Number of clients that play a video now, and the maximum so far."""
        self._say({"readers": f"/{film}"})
        answer = self._answer()
        return int(str(answer["now"])), int(str(answer["most"]))

    def mount(self, path: str, film: Film, **options: object) -> str:
        """Mounts a film.

        Args:
            path: path without the leading slash.
            film: the video.
            options: lock ("basic" or "digest") with user and password; lose, the share of RTP packets never sent;
                transport ("tcp" or "udp") to offer only one; shared=False to start again for each client.

        Returns:
            The address, without credentials.
        """
        return self.serve(path, self._written(film), film.codec, film.fps, **options)

    def serve(self, path: str, units: Path, codec: str, fps: int, **options: object) -> str:
        """Mounts an already written video (`films.write_units`); otherwise like `mount`."""
        order = {"path": f"/{path}", "film": str(units), "codec": codec, "fps": fps, **options}
        self._orders[f"/{path}"] = order
        self._order(order)
        return self.url(path)

    def start(self) -> None:
        """Serves all mounts, on the same ports as before."""
        script = Path(__file__).with_name("server.py")
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                (*self._within, PYTHON, str(script), self._address),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        for order in self._orders.values():
            self._order(order)

    def stop(self, *, kill: bool = False) -> None:
        """Ends the process, which closes all connections. Does nothing if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.kill() if kill else process.terminate()
        process.wait(60)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    def freeze(self) -> None:
        """Stops all sending and answering; connections stay open."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continues after `freeze`."""
        self._running().send_signal(signal.SIGCONT)

    def _written(self, film: Film) -> Path:
        sizes = "-".join(f"{w}x{h}" for w, h in film.whs)
        path = self._folder / f"{film.codec}-{sizes}-{film.fps}-{film.seconds}-{film.key_s}.units"
        return path if path.is_file() else write_units(film, path)

    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the RTSP server does not run"
        return self._process

    def _order(self, order: dict[str, object]) -> None:
        lock = order.get("lock", "")
        self._say({**order, "port": self._ports.setdefault(lock, free_port())})
        answer = self._answer()
        assert answer["mounted"] == order["path"]
        self._ports[lock] = answer["port"]

    def _say(self, order: dict[str, object]) -> None:
        stdin = self._running().stdin
        assert stdin is not None
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()

    def _answer(self) -> dict[str, object]:
        stdout, deadline = self._running().stdout, time.monotonic() + ANSWER_S
        assert stdout is not None
        ready, _, _ = select([stdout], [], [], deadline - time.monotonic())
        line = stdout.readline() if ready else ""
        assert line, f"the RTSP server said nothing: {self._log.read_text()}"
        return json.loads(line)
