"""The server process: listens, serves the application until a signal ends it, and limits connections and open files.

It has one event loop; sessions are in its memory. On SIGINT or SIGTERM event streams end at once, open requests get two
seconds, then the application closes its services. SIGHUP rereads the settings file. systemd is notified of the end of
the start and the beginning of the end (`Type=notify`).
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import cv2
import uvicorn
from fastapi import FastAPI

from stream_detect.access.networks import Networks
from stream_detect.app.connections import (
    HANDSHAKE_S,
    MAX_CONNECTIONS,
    ConnectionLimits,
    GuardedProtocol,
    HttpConnections,
    behind_proxies,
)
from stream_detect.app.supervisor import Hangups, notify_systemd
from stream_detect.app.tls import Certificate, certificate_of
from stream_detect.errors import SettingsError
from stream_detect.media.planes import reuse_frame_memory
from stream_detect.settings import Settings

_REQUESTS_MAY_END_S = 2
_BACKLOG = 128
_LEAST_CONNECTIONS = 64
_STARTUP_FAILED = 3  # exit status of uvicorn
if sys.platform == "win32":
    resource = None
else:
    import resource

_log = logging.getLogger("stream_detect")


@dataclass(frozen=True, slots=True)
class Service:
    """The application to serve, and its reactions to signals.

    Args:
        application: handles requests; closes its resources at the end of its lifespan.
        shut_down: called on the event loop when the server begins to stop; ends endless responses.
        hangup: called on SIGHUP, on a separate thread; reloads the settings.
    """

    application: FastAPI
    shut_down: Callable[[], None]
    hangup: Callable[[], None]


class _Server(uvicorn.Server):
    """uvicorn's server with limits on connections and a replaceable certificate.

    It waits for open responses before the application shuts down.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        limits: ConnectionLimits,
        shut_down: Callable[[], None],
        certificate: Certificate | None,
    ) -> None:
        super().__init__(config)
        self._certificate = certificate
        self._watching: asyncio.Task[None] | None = None
        self._connections = HttpConnections(limits)
        self._shut_down = shut_down

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn, whose version gives protocols no argument and handshakes no time limit."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(_STARTUP_FAILED)
        loop, config, certificate = asyncio.get_running_loop(), self.config, self._certificate
        self.servers = [
            await loop.create_server(
                lambda: GuardedProtocol(self._connections, config, self.server_state, self.lifespan.state),
                sock=listener,
                backlog=_BACKLOG,
                ssl=certificate.context if certificate else None,
                ssl_handshake_timeout=HANDSHAKE_S if certificate else None,
            )
            for listener in sockets or ()
        ]
        if certificate is not None:
            self._watching = loop.create_task(certificate.watch(), name="certificate")
        self.started = True
        notify_systemd("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        notify_systemd("STOPPING=1")
        if self._watching is not None:
            self._watching.cancel()
        self._shut_down()
        await super().shutdown(sockets)


def serve(settings: Settings, build: Callable[[Settings, Certificate | None], Service], hangups: Hangups) -> None:
    """Serves until a signal arrives.

    Args:
        settings: the address to listen on; passed to `build`.
        build: makes the service, given the certificate. Called once the port is bound, so that a taken one is reported
            at once.
        hangups: made before the settings were read, so that a reload during the start is answered after it.

    Raises:
        SettingsError: the server cannot listen on the address, or the certificate is invalid.
        BundleError: the model cannot be loaded.
        StorageError: the database cannot be used.
        AddressError: the address of a camera is invalid.
    """
    _log_to_stderr()
    certificate = certificate_of(settings)
    files = raise_open_files()
    # Each stream has its own thread: more threads of OpenCV would only compete for the same cores.
    cv2.setNumThreads(1)
    reuse_frame_memory()
    with listen(settings) as listener:
        service = build(settings, certificate)
        # Objects that exist now are excluded from later collections, each of which would pause all streams (190 ms on a
        # busy machine). The command that calls this has switched collections off, see `stream_detect.cli.serve`.
        gc.collect()
        gc.freeze()
        gc.enable()
        server = _Server(
            uvicorn.Config(
                behind_proxies(service.application, settings.server.proxies),
                lifespan="on",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # see behind_proxies()
                timeout_graceful_shutdown=_REQUESTS_MAY_END_S,
            ),
            _limits(settings, files),
            service.shut_down,
            certificate,
        )
        for stop in (signal.SIGINT, signal.SIGTERM):
            # uvicorn raises the signal again after it stopped; an orderly end has exit status 0.
            signal.signal(stop, _exit)
        hangups.handle(lambda: _hang_up(service, certificate))
        if certificate is not None:
            _log.info("TLS certificate: %s", certificate.summary)
        _log.info("serving at %s (ctrl-c stops)", address(settings, listener))
        server.run(sockets=[listener])


def raise_open_files() -> int:
    """Raises the limit of open files to the maximum that the system allows, and returns it.

    Connections, cameras, WebRTC sessions and files share it; many systems set 1,024 but allow far more.
    """
    if resource is None:
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems report a limit that they do not allow
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _limits(settings: Settings, files: int) -> ConnectionLimits:
    """At most a third of the open files: cameras, sessions and the database need the rest."""
    connections = max(min(MAX_CONNECTIONS, files // 3), _LEAST_CONNECTIONS)
    return ConnectionLimits(connections, connections // 2, Networks(settings.server.proxies))


def _exit(_number: int, _frame: FrameType | None) -> None:
    """Ends the process once the application has closed its resources.

    At once, because threads may be in slow calls (a read of FFmpeg, the response of a webhook). Waiting for them would
    exceed the limit of five seconds, and an interpreter that is torn down under FFmpeg crashes (measured: SIGSEGV).
    """
    logging.shutdown()
    os._exit(0)


def _hang_up(service: Service, certificate: Certificate | None) -> None:
    if certificate is not None:
        certificate.refresh()
    service.hangup()


def listen(settings: Settings) -> socket.socket:
    """Opens a socket on the address in the settings.

    Raises:
        SettingsError: the address is taken, or does not belong to this machine.
    """
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.getaddrinfo(host or None, port, family, socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(found[0][4], family=family, backlog=_BACKLOG)
    except (OSError, ValueError, TypeError) as error:  # the last two: no name of a host can be so
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise SettingsError(
            f"cannot listen on {host} port {port}: {reason}; change server.host or server.port"
        ) from error


def address(settings: Settings, listener: socket.socket) -> str:
    """URL to open in a browser on this machine."""
    scheme = "https" if settings.server.speaks_tls else "http"
    host = settings.server.host
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("aioice", "aiortc", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
