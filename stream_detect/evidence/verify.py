"""Verifies that events and their evidence are what was written: by the chain's hashes and the files' sha256."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from stream_detect.errors import NotFoundError
from stream_detect.evidence.folder import EvidenceFolder, file_sha256
from stream_detect.storage.chain import FIRST, Chain, Entry


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Args:
        entries: of the chain.
        files: whose sha256 was compared.
        head: hash of the newest entry; empty without one.
        problems: a sentence each, which names the row, entry or file; none when all holds.
    """

    entries: int
    files: int
    head: str
    problems: tuple[str, ...]


@dataclass(slots=True)
class _Written:
    """What the chain says of one event: the newest content of each kind."""

    kinds: dict[str, str] = field(default_factory=dict)


def verify(chain: Chain, folder: EvidenceFolder, head: str | None = None) -> Verification:
    """Compares the chain with itself, the events with the chain, and the files with their sha256.

    Args:
        chain: of the events.
        folder: of the files.
        head: hash that was noted at an earlier time; the chain has to hold it still.

    Raises:
        StorageError: the database or a file cannot be read.
    """
    problems: list[str] = []
    events: dict[str, _Written] = {}
    hashes = 0
    seen_head = head is None
    before: Entry | None = None
    for entry in chain.entries():
        problems += _broken(before, entry)
        events.setdefault(entry.event_id, _Written()).kinds[entry.what] = entry.content
        seen_head |= entry.hash == head
        hashes += 1
        before = entry
    if not seen_head:
        problems.append(f"the chain does not hold the hash {head}: its newest entries were removed or written anew")
    problems += _changed_events(chain, events)
    files = 0
    changed: list[str] = []
    for event_id, written in events.items():
        if "deleted" not in written.kinds and "evidence" in written.kinds:
            for name, sha256 in json.loads(written.kinds["evidence"])["sha256"].items():
                files += 1
                changed += _changed_file(folder, event_id, name, sha256)
    return Verification(hashes, files, before.hash if before else "", (*problems, *changed))


def _broken(before: Entry | None, entry: Entry) -> Iterator[str]:
    name = f"entry {entry.number} of event {entry.event_id} ({entry.what})"
    number, previous = (before.number + 1, before.hash) if before else (1, FIRST)
    if entry.number != number:
        yield f"entries {number} to {entry.number - 1} of the chain are missing, before {name}"
    elif entry.previous != previous:
        yield f"{name} does not follow the one before it: entries were reordered, or the one before was changed"
    if entry.hash != entry.expected_hash:
        yield f"{name} was changed"


def _changed_events(chain: Chain, events: dict[str, _Written]) -> Iterator[str]:
    rows = chain.rows()
    for event_id, (identity, outcome, names) in rows.items():
        kinds = events[event_id].kinds if event_id in events else {}
        if not kinds or "deleted" in kinds:
            yield f"event {event_id} was added: the chain does not know it"
        elif kinds.get("began", identity) != identity or kinds.get("ended", outcome) != outcome:
            yield f"event {event_id} was changed"
        elif "evidence" in kinds:
            kept = {name: value for name, value in json.loads(kinds["evidence"]).items() if name != "sha256"}
            if kept != json.loads(names):
                yield f"event {event_id} was changed: it names other files than were written"
    for event_id, written in events.items():
        if event_id not in rows and "deleted" not in written.kinds:
            yield f"event {event_id} is missing"


def _changed_file(folder: EvidenceFolder, event_id: str, name: str, sha256: str) -> Iterator[str]:
    try:
        path = folder.path(name)
    except NotFoundError:
        yield f"file {name} of event {event_id} is missing"
        return
    if sha256 and file_sha256(path) != sha256:
        yield f"file {name} of event {event_id} was changed"
