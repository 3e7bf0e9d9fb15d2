"""The audit log: takes entries without waiting, writes them to the database, the log and a file, and verifies them."""

import getpass
import json
import logging
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from stream_detect.backoff import Backoff, Outage
from stream_detect.errors import StorageError
from stream_detect.settings import AuditSettings
from stream_detect.storage.audit import EXPIRED, AuditEntry, AuditTable, WrittenEntry
from stream_detect.storage.chain import FIRST

MAX_WAITING: Final = 10_000
"""Maximum number of entries that wait while the database cannot be used; further ones are only in the log."""

_BATCH: Final = 500
_CLOSE_S: Final = 3.0
_EXPIRE_EVERY_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_REMEMBERED: Final = 4096
_log = logging.getLogger("stream_detect.audit")


class RepeatedEntries:
    """Recognises entries that repeat a recent one, because a page requests the same picture many times.

    Args:
        within_s: time within which an entry counts as repeated.
        clock: returns monotonic seconds.
    """

    def __init__(self, within_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._within_s = within_s
        self._clock = clock
        self._written: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def is_one(self, *key: str) -> bool:
        """Whether an entry is a repetition; if not, it is remembered."""
        now_s = self._clock()
        if now_s - self._written.get(key, float("-inf")) < self._within_s:
            return True
        self._written[key] = now_s
        self._written.move_to_end(key)
        if len(self._written) > _REMEMBERED:
            self._written.popitem(last=False)
        return False


class AuditLog:
    """Writes entries in order on its own thread. Thread-safe.

    Args:
        table: table of the entries.
        settings: retention time, and the file for a log collector.
        clock: returns unix seconds.
    """

    def __init__(self, table: AuditTable, settings: AuditSettings, clock: Callable[[], float] = time.time) -> None:
        self.table = table
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[AuditEntry] = deque()
        self._arrived = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._expired_s = float("-inf")
        self._closed = False
        self.problem = ""
        """Why entries cannot be written now; empty if all is well."""

    def start(self) -> None:
        """Starts to write."""
        self._thread.start()

    def close(self, within_s: float = _CLOSE_S) -> None:
        """Writes waiting entries. Blocks.

        Those that the database has not taken by then, and later ones, are in the log and the file.

        Args:
            within_s: time limit.
        """
        self._closing.set()
        self._arrived.set()
        if self._thread.is_alive():
            self._thread.join(within_s)
        with self._lock:
            self._closed = True
            left = list(self._waiting)
        self._give_up(left)

    def note(self, entry: AuditEntry) -> None:
        """Adds an entry. Does not block."""
        with self._lock:
            is_closed, is_full = self._closed, len(self._waiting) >= MAX_WAITING
            if not is_closed and not is_full:
                self._waiting.append(entry)
        if is_closed:
            self._give_up([entry])
        elif is_full:
            self.problem = f"the audit log is full: {MAX_WAITING} entries wait for the database"
            _log.error("not written to the database: %s", json.dumps(asdict(entry)))
        self._arrived.set()

    def _give_up(self, entries: list[AuditEntry]) -> None:
        for entry in entries:
            _log.error("not written to the database: %s", json.dumps(asdict(entry)))
        if entries:
            self._append(entries)

    def _write_all(self) -> None:
        backoff, outage = Backoff(1.0, 60.0), Outage(_log, "audit log")
        while True:
            with self._lock:
                batch = [self._waiting[n] for n in range(min(_BATCH, len(self._waiting)))]
            if not batch:
                if self._closing.is_set():
                    return
                self._expire()
                self._arrived.wait(_EXPIRE_EVERY_S)
                self._arrived.clear()
                continue
            try:
                self.table.append(batch)
            except Exception as error:  # noqa: BLE001 - the thread's edge: a defect must not end the log unnoticed
                outage.failed(
                    f"entries wait for the database: {error}", None if isinstance(error, StorageError) else error
                )
                self.problem = f"the audit log cannot be written: {error}"
                if self._closing.wait(backoff.pause_s()):
                    return
                continue
            outage.ended()
            self.problem = ""
            backoff.reset()
            with self._lock:
                if self._closed:  # it took too long: the entries are in the log and the file already
                    return
                for _ in batch:
                    self._waiting.popleft()
            self._publish(batch)

    def _publish(self, batch: list[AuditEntry]) -> None:
        for entry in batch:
            _log.info(
                "%s (%s, %s): %s %s %s",
                entry.who or "-",
                entry.by or "-",
                entry.address or "-",
                entry.action,
                entry.target,
                entry.result,
            )
        self._append(batch)

    def _append(self, batch: list[AuditEntry]) -> None:
        """Appends entries to the file, if there is one."""
        if self._settings.file is None:
            return
        lines = "".join(json.dumps(shown(entry), ensure_ascii=True) + "\n" for entry in batch)
        try:
            _append_to(self._settings.file, lines)
        except OSError as error:
            self.problem = f"audit.file cannot be written: {error.strerror or error}"
            _log.error("%s", self.problem)

    def _expire(self) -> None:
        now_s = self._clock()
        if 0 <= now_s - self._expired_s < _EXPIRE_EVERY_S:  # below 0 the clock was set back
            return
        self._expired_s = now_s
        try:
            self.table.expire(now_s - self._settings.days * _DAY_S, now_s)
        except StorageError as error:
            _log.warning("old entries could not be deleted: %s", error)


def note(table: AuditTable, action: str, target: str = "", detail: str = "") -> None:
    """Records an action on the command line, with the name of the system's user."""
    try:
        who = getpass.getuser()
    except (OSError, KeyError):  # the system does not know the user's number, as in a container
        who = f"uid {os.getuid()}"
    table.append([AuditEntry(time.time(), action, who=who, by="command_line", target=target, detail=detail)])


def shown(entry: AuditEntry) -> dict[str, Any]:
    """An entry as JSON."""
    values = asdict(entry)
    return {"at": values.pop("at_s"), **{name: values[name] for name in _SHOWN}}


_SHOWN: Final = ("who", "by", "address", "action", "target", "result", "detail")


def _append_to(path: Path, lines: str) -> None:
    """Opens the file anew each time, so that it can be rotated; only the server's user may read it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(lines)


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """Result of a verification.

    Args:
        entries: number of entries.
        head: hash of the newest entry; empty if there is none.
        problems: one sentence each, which names the entry; empty if there are none.
    """

    entries: int
    head: str
    problems: tuple[str, ...]


def verify_audit(table: AuditTable, head: str | None = None) -> AuditVerification:
    """Checks the hashes of the entries and their order.

    Args:
        table: table of the entries.
        head: hash recorded earlier, which the chain must still contain unless it has expired.

    Raises:
        StorageError: the database cannot be read.
    """
    problems: list[str] = []
    first = before = None
    begins = (0, FIRST)
    seen_head = head is None
    count = 0
    for entry in table.entries():
        count += 1
        name = f"entry {entry.number} ({entry.action})"
        if not isinstance(entry.number, int):  # SQLite stores any type in any column
            problems.append(f"an entry ({entry.action}) was changed: its number is {entry.number!r}")
            continue
        first = first or entry
        if before is not None and entry.number != before.number + 1:
            problems.append(f"entries {before.number + 1} to {entry.number - 1} are missing, before {name}")
        elif before is not None and entry.previous != before.hash:
            problems.append(f"{name} does not follow the one before it: that was changed, or entries were reordered")
        if entry.hash != entry.expected_hash:
            problems.append(f"{name} was changed")
        if entry.action == EXPIRED:
            begins = _beginning(entry)
        seen_head |= head in {entry.hash, begins[1]}
        before = entry
    if first is not None and (first.number - 1, first.previous) != begins:
        problems.append(f"the oldest entries are missing, before entry {first.number} ({first.action})")
    if not seen_head:
        problems.append(f"the log does not contain the hash {head}: its newest entries were removed or rewritten")
    return AuditVerification(count, before.hash if before else "", tuple(problems))


def _beginning(entry: WrittenEntry) -> tuple[int, str]:
    """Number and hash of the last expired entry."""
    try:
        values = json.loads(entry.detail)
        return int(values["number"]), str(values["hash"])
    except (ValueError, KeyError, TypeError):
        return -1, ""
