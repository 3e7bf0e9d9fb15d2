"""What the supervisor of the server, such as systemd, sends and is sent: SIGHUP, and the states of the service."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

_log = logging.getLogger(__name__)


class Hangups:
    """SIGHUP, from construction on: without a handler it would end a process that is still starting."""

    def __init__(self) -> None:
        self._early = threading.Event()
        self._call: Callable[[], None] | None = None
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._arrived)

    def handle(self, call: Callable[[], None]) -> None:
        """Calls `call` at each from now on, and once if there was one before; on a thread, since it may block."""
        self._call = call
        if self._early.is_set():
            self._arrived(0, None)

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        if self._call is None:
            self._early.set()
        else:
            threading.Thread(target=self._call, name="hangup", daemon=True).start()


def notify_systemd(state: str) -> None:
    """Sends a state of the service to systemd, if that started this process (sd_notify(3)).

    Args:
        state: such as "READY=1".
    """
    name = os.environ.get("NOTIFY_SOCKET")
    if not name or sys.platform == "win32":
        return
    address = f"\0{name[1:]}" if name.startswith("@") else name  # an abstract one
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_systemd:
            to_systemd.sendto(state.encode(), address)
    except OSError as error:
        _log.warning("systemd was not notified of %s: %s", state, error.strerror or error)
