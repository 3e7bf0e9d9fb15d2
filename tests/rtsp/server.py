"""A real RTSP server for tests: GStreamer's, run by Debian's own python3 (apt: gir1.2-gst-rtsp-server-1.0 python3-gi).

It reads orders from stdin, a JSON object a line: {"path", "film", "codec", "fps", "port", ["lock", "user", "password",
"lose", "transport", "shared"]} mounts a film, and {"readers": path} asks how many play it. It answers each on stdout,
by {"mounted", "port"} and by {"now", "most"}, and ends with stdin. An argument is the address where it listens.

A film is a file of access units, each behind its length (4 bytes, big endian); it is sent live and over and over, one
unit each 1/fps seconds, so nothing is encoded here and a camera costs next to nothing.
"""

import itertools
import json
import struct
import sys
import time
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions come first

FORMS = {
    "h264": ("video/x-h264,stream-format=byte-stream,alignment=au", "rtph264pay config-interval=-1"),
    "h265": ("video/x-h265,stream-format=byte-stream,alignment=au", "rtph265pay config-interval=-1"),
    "vp8": ("video/x-vp8", "rtpvp8pay"),
    "jpeg": ("image/jpeg", "jpegparse ! rtpjpegpay"),
}
"""GStreamer's caps and RTP payloader for each codec."""


def units_of(film: Path) -> list[bytes]:
    """Access units of a video, as written by `films.py`."""
    content, units, start = film.read_bytes(), [], 0
    while start < len(content):
        (length,) = struct.unpack_from(">I", content, start)
        units.append(content[start + 4 : start + 4 + length])
        start += 4 + length
    return units


class Projector:
    """Sends a video's units at their times; late ones are sent at once.

    Args:
        units: access units of the video.
        fps: units per second.
        film: GStreamer's appsrc.
    """

    def __init__(self, units: list[bytes], fps: int, film: Gst.Element) -> None:
        self._units, self._fps, self._film = units, fps, film
        self._sent = 0
        self._began_s = time.monotonic()
        self._timer = 0

    def send(self) -> bool:
        unit = Gst.Buffer.new_wrapped(self._units[self._sent % len(self._units)])
        # Like cameras: the time of capture, however late it is sent.
        unit.pts = self._sent * Gst.SECOND // self._fps
        self._film.emit("push-buffer", unit)
        self._sent += 1
        due_s = self._began_s + self._sent / self._fps
        self._timer = GLib.timeout_add(max(0, round(1000 * (due_s - time.monotonic()))), self.send)
        return GLib.SOURCE_REMOVE

    def stop(self) -> None:
        GLib.source_remove(self._timer)


class Camera(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc] # it has no type information
    """One mounted video; all its clients see the same frames at the same time, unless it is not shared.

    Args:
        order: the order from stdin.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        super().__init__()
        self._units = units_of(Path(order["film"]))
        self._fps = order["fps"]
        form, payloader = FORMS[order["codec"]]
        self.set_launch(
            f"( appsrc name=film is-live=true format=time caps={form},framerate={self._fps}/1 "
            f"! {payloader} pt=96 ! identity name=pay0 drop-probability={order.get('lose', 0.0)} )"
        )
        self.set_shared(order.get("shared", True))
        if order.get("transport"):
            self.set_protocols(getattr(GstRtsp.RTSPLowerTrans, order["transport"].upper()))
        self.set_latency(0)
        if order.get("user"):
            self._admit(order["user"])
        self.connect("media-configure", self._configure)

    def _admit(self, user: str) -> None:
        permissions = GstRtspServer.RTSPPermissions.new()
        permissions.add_permission_for_role(user, "media.factory.access", True)
        permissions.add_permission_for_role(user, "media.factory.construct", True)
        self.set_permissions(permissions)

    def _configure(self, _factory: Any, media: Any) -> None:
        top = media.get_element()
        projector = Projector(self._units, self._fps, top.get_by_name("film"))
        projector.send()
        media.connect("unprepared", lambda _media: projector.stop())


class Readers:
    """Counts the clients that play each path, from PLAY to TEARDOWN or the end of the connection."""

    def __init__(self) -> None:
        self._clients = itertools.count()
        self._now: dict[str, set[int]] = {}
        self._most: dict[str, int] = {}

    def watch(self, _server: Any, client: Any) -> None:
        """A client has connected."""
        number = next(self._clients)
        client.connect("play-request", lambda _client, context: self._plays(context.uri.abspath, number))
        client.connect("teardown-request", lambda _client, _context: self._leaves(number))
        client.connect("closed", lambda _client: self._leaves(number))

    def of(self, path: str) -> dict[str, int]:
        """Number of clients that play it now, and the maximum so far."""
        return {"now": len(self._now.get(path, ())), "most": self._most.get(path, 0)}

    def _plays(self, path: str, client: int) -> None:
        now = self._now.setdefault(path, set())
        now.add(client)
        self._most[path] = max(self._most.get(path, 0), len(now))

    def _leaves(self, client: int) -> None:
        for clients in self._now.values():
            clients.discard(client)


class Door:
    """A listening port; with a lock ("basic" or "digest"), every mount has its own account.

    Args:
        lock: "", "basic" or "digest".
        address: address on which it listens.
        port: 0 for any.
        readers: counts clients that play.
    """

    def __init__(self, lock: str, address: str, port: int, readers: Readers) -> None:
        self._lock = lock
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address(address)
        self._server.set_service(str(port))
        if lock:
            self._auth = GstRtspServer.RTSPAuth()
            self._auth.set_supported_methods(getattr(GstRtsp.RTSPAuthMethod, lock.upper()))
            self._server.set_auth(self._auth)
        self._server.connect("client-connected", readers.watch)
        if not self._server.attach(None):
            sys.exit(f"cannot listen at port {port}")
        self.port = self._server.get_bound_port()

    def mount(self, order: dict[str, Any]) -> None:
        if self._lock:
            token = GstRtspServer.RTSPToken()
            token.set_string("media.factory.role", order["user"])
            if self._lock == "digest":
                self._auth.add_digest(order["user"], order["password"], token)
            else:
                self._auth.add_basic(self._auth.make_basic(order["user"], order["password"]), token)
        self._server.get_mount_points().add_factory(order["path"], Camera(order))


class Orders:
    """Reads orders from stdin and acknowledges them on stdout; ends the loop with stdin."""

    def __init__(self, loop: GLib.MainLoop, address: str) -> None:
        self._loop = loop
        self._address = address
        self._readers = Readers()
        self._doors: dict[str, Door] = {}

    def read(self, channel: GLib.IOChannel, _condition: GLib.IOCondition) -> bool:
        line = channel.readline()
        if not line:
            self._loop.quit()
            return False
        order = json.loads(line)
        answer = self._readers.of(order["readers"]) if "readers" in order else self._mount(order)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        return True

    def _mount(self, order: dict[str, Any]) -> dict[str, Any]:
        lock = order.get("lock", "")
        if lock not in self._doors:
            self._doors[lock] = Door(lock, self._address, order["port"], self._readers)
        self._doors[lock].mount(order)
        return {"mounted": order["path"], "port": self._doors[lock].port}


def main() -> None:
    Gst.init(None)
    loop = GLib.MainLoop()
    channel = GLib.IOChannel.unix_new(sys.stdin.fileno())
    GLib.io_add_watch(channel, GLib.IO_IN | GLib.IO_HUP, Orders(loop, *(sys.argv[1:] or ["127.0.0.1"])).read)
    loop.run()


if __name__ == "__main__":
    main()
