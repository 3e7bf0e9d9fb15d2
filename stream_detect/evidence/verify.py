"""Verifies events, checks and evidence: the hash chain, the hashes of the files, and their signatures."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from stream_detect.errors import NotFoundError
from stream_detect.evidence.folder import EvidenceFolder, file_sha256
from stream_detect.media.credentials import INSTALL, CredentialsReader, CredentialsState
from stream_detect.media.files import translated
from stream_detect.storage.chain import FILES, FIRST, Chain, ChainEntry, ChainSnapshot, EventContent


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a verification.

    Args:
        entries: number of chain entries.
        files: number of files whose sha256 was compared.
        head: hash of the newest entry; empty if there is none.
        signatures: number of files by state of their Content Credentials.
        problems: one sentence each, which names the row, entry or file; empty if there are none.
    """

    entries: int
    files: int
    head: str
    signatures: Mapping[CredentialsState, int]
    problems: tuple[str, ...]


@dataclass(slots=True)
class _Written:
    """What the chain states of one event or check: the newest content of each kind."""

    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def is_check(self) -> bool:
        return "check" in self.kinds


def verify(chain: Chain, folder: EvidenceFolder, reader: CredentialsReader, head: str | None = None) -> Verification:
    """Checks the chain, compares events and checks with it, and files with their sha256 and signatures.

    Args:
        chain: chain of events and checks.
        folder: folder of the files.
        reader: knows the trusted signers; signatures whose certificate has expired since are not verified.
        head: hash recorded earlier, which the chain must still contain.

    Raises:
        StorageError: the database or a file cannot be read.
    """
    problems: list[str] = []
    known: dict[str, _Written] = {}
    hashes = 0
    seen_head = head is None
    before: ChainEntry | None = None
    with chain.snapshot() as snapshot:
        for entry in snapshot.entries():
            problems += _broken(before, entry)
            if not isinstance(entry.number, int):
                continue
            known.setdefault(entry.event_id, _Written()).kinds[entry.what] = entry.content
            seen_head |= entry.hash == head
            hashes += 1
            before = entry
        events = {key: written for key, written in known.items() if not written.is_check}
        checks = {key: written for key, written in known.items() if written.is_check}
        changed = [*_changed_events(snapshot, events), *_changed_checks(snapshot, checks)]
    if not seen_head:
        problems.append(f"the chain does not contain the hash {head}: its newest entries were removed or rewritten")
    problems += changed
    files = _Files(folder, reader)
    for event_id, written in events.items():
        if "deleted" not in written.kinds and "evidence" in written.kinds:
            stated = _evidence(written.kinds["evidence"])
            for name, sha256 in ({} if stated is None else stated.sha256).items():
                files.verify(event_id, name, sha256)
    if files.problems:  # files of events that changed meanwhile may have been deleted legitimately
        meanwhile = chain.events_after(before.number if before else 0)
        problems += [problem for event_id, problem in files.problems if event_id not in meanwhile]
    return Verification(hashes, files.count, before.hash if before else "", files.signatures, tuple(problems))


def _broken(before: ChainEntry | None, entry: ChainEntry) -> Iterator[str]:
    name = f"entry {entry.number} of event {entry.event_id} ({entry.what})"
    if entry.what == "check":
        name = f"entry {entry.number} of check {entry.event_id}"
    number, previous = (before.number + 1, before.hash) if before else (1, FIRST)
    if not isinstance(entry.number, int):  # SQLite stores any type in any column
        yield f"an entry of event {entry.event_id} ({entry.what}) was changed: its number is {entry.number!r}"
        return
    if entry.number != number:
        yield f"entries {number} to {entry.number - 1} of the chain are missing, before {name}"
    elif entry.previous != previous:
        yield f"{name} does not follow the one before it: entries were reordered, or the one before was changed"
    if entry.hash != entry.expected_hash:
        yield f"{name} was changed"


def _changed_events(snapshot: ChainSnapshot, events: dict[str, _Written]) -> Iterator[str]:
    rows = snapshot.events()
    for event_id, row in rows.items():
        kinds = events[event_id].kinds if event_id in events else {}
        if not kinds or "deleted" in kinds:
            yield f"event {event_id} was added: the chain does not know it"
        elif row is None or not _is_as_written(row, kinds):
            yield f"event {event_id} was changed"
        elif "began" in kinds and "ended" not in kinds and not row.is_open:
            yield f"event {event_id} was changed: it has ended, and no end was written"
        else:
            yield from _changed_files(event_id, row, kinds)
    for event_id, written in events.items():
        if event_id not in rows and "deleted" not in written.kinds:
            yield f"event {event_id} is missing"


def _is_as_written(row: EventContent, kinds: Mapping[str, str]) -> bool:
    return kinds.get("began", row.identity) == row.identity and kinds.get("ended", row.outcome) == row.outcome


def _changed_files(event_id: str, row: EventContent, kinds: Mapping[str, str]) -> Iterator[str]:
    named = any(json.loads(row.files).values())
    if "evidence" in kinds:
        stated = _evidence(kinds["evidence"])
        if stated is None or stated.files != json.loads(row.files):
            yield f"event {event_id} was changed: it names other files than were written"
        elif named and not row.shows_files:
            yield f"event {event_id} was changed: it hides its files"
    elif "before" not in kinds and named:
        yield f"event {event_id} was changed: it names files, and none were written"


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What an entry states about the files of an event.

    Args:
        files: name of the picture, the face and the clip.
        sha256: of each file, by its name.
    """

    files: dict[str, str | None]
    sha256: dict[str, str]


def _evidence(content: str) -> _Evidence | None:
    """The content of an entry; None if it is none, as that of an entry that was changed."""
    try:
        values = json.loads(content)
        return _Evidence({name: values[name] for name in FILES}, dict(values["sha256"].items()))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _changed_checks(snapshot: ChainSnapshot, checks: dict[str, _Written]) -> Iterator[str]:
    rows = snapshot.checks()
    for check_id, content in rows.items():
        kinds = checks[check_id].kinds if check_id in checks else {}
        if not kinds or "deleted" in kinds:
            yield f"check {check_id} was added: the chain does not know it"
        elif content is None or kinds["check"] != content:
            yield f"check {check_id} was changed"
    for check_id, written in checks.items():
        if check_id not in rows and "deleted" not in written.kinds:
            yield f"check {check_id} is missing"


class _Files:
    """Verifies files one after the other.

    Args:
        folder: folder of the files.
        reader: reader of their signatures.
    """

    def __init__(self, folder: EvidenceFolder, reader: CredentialsReader) -> None:
        self._folder = folder
        self._reader = reader
        self.count = 0
        self.problems: list[tuple[str, str]] = []  # with the id of the event
        self.signatures: Counter[CredentialsState] = Counter()

    def verify(self, event_id: str, name: str, sha256: str) -> None:
        """Verifies a file that the chain lists."""
        self.count += 1
        try:
            path = self._folder.path(name)
        except NotFoundError:
            self._note(event_id, f"file {name} of event {event_id} is missing")
            return
        if sha256 and file_sha256(path) != sha256:
            self._note(event_id, f"file {name} of event {event_id} was changed")
        try:
            found = self._reader.read(path)
        except OSError as error:
            raise translated(error, path.parent) from error
        self.signatures[found.state] += 1
        if found.state in {"broken", "unreadable"}:
            self._note(event_id, f"the signature of file {name} of event {event_id} is invalid: {found.problem}")
        elif found.state == "untrusted" and not found.has_expired:
            signer = found.signer or "somebody without a name"
            self._note(event_id, f"file {name} of event {event_id} is signed by {signer}, who is not the operator")

    def _note(self, event_id: str, problem: str) -> None:
        self.problems.append((event_id, problem))


def signature_line(signatures: Mapping[CredentialsState, int]) -> str:
    """A line for people about the number of signed files."""
    parts: dict[CredentialsState, str] = {
        "valid": "are signed by the operator",
        "none": "are not signed",
        "untrusted": "are signed by others, or by certificates that have expired since: who signed is not verified",
        "broken": "have an invalid signature",
        "unreadable": "have a signature that cannot be read",
        "unread": f"have a signature that was not verified: {INSTALL}",
    }
    said = [f"{signatures[state]} {words}" for state, words in parts.items() if signatures.get(state)]
    return f"Signatures: {'; '.join(said) or 'no files'}."
