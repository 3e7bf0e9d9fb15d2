"""Evidence in a cluster: deletion on all nodes, and what is reported if a worker is lost before it is complete."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stream_detect.cluster.camera import NO_CLIP, NO_WORKER, Inbox
from stream_detect.cluster.evidence import ClusterEvidence
from stream_detect.cluster.messages import (
    Batch,
    EndedCheck,
    EvidenceRequest,
    KeptEvidence,
    Load,
    ModelOrder,
    Orders,
    Reliable,
    refusal_of,
)
from stream_detect.cluster.remote_worker import Incarnation
from stream_detect.errors import NotFoundError, StreamDetectError
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.evidence.keeper import EvidenceKeeper, EvidenceSources
from stream_detect.settings import EvidenceSettings, StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.events import Events
from stream_detect.storage.records import Evidence
from stream_detect.types import Thresholds
from tests.patience import until
from tests.scenes import CHECK, WALL_S, Clock, event, kept, result


def keeper_of(folder: Path, events: Events | None = None, clock: Clock | None = None) -> EvidenceKeeper:
    sources = EvidenceSources(lambda _: True, lambda _: None)
    return EvidenceKeeper(
        EvidenceFolder(folder, 0), EvidenceSettings(min_free_bytes=0), events, sources, clock or Clock()
    )


class Link:
    """A link to the keeper of another node."""

    def __init__(self, keeper: EvidenceKeeper) -> None:
        self._methods: dict[str, Callable[..., Any]] = {
            "evidence_file": lambda name: keeper.path(name).read_bytes(),
            "delete_evidence": keeper.delete,
        }

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:  # noqa: ARG002 - as WorkerLink
        try:
            return self._methods[method](*arguments)
        except StreamDetectError as error:
            return refusal_of(error)


class Site:
    """A server, and a node with a folder of its own."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.events, self.clock = Events(database), Clock()
        self.there, self.cache = folder / "there", folder / "cache"
        link = Link(keeper_of(self.there))
        head: Any = SimpleNamespace(inbox=Inbox(), a_link_of_each_node=lambda: [link])
        self.keeper = keeper_of(folder / "here", self.events, self.clock)
        self.evidence = ClusterEvidence(self.keeper, head, self.cache)

    def files(self) -> list[str]:
        """Names of the files on the node and in the cache."""
        return [path.name for folder in (self.there, self.cache) if folder.is_dir() for path in folder.iterdir()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Database.open(StorageSettings(folder=tmp_path / "data")) as database:
        made = Site(tmp_path, database)
        yield made
        made.keeper.close()


def test_deleting_an_event_deletes_its_files_on_the_node_and_in_the_cache(site):
    one = kept(site.events, site.there, WALL_S, 5)
    assert site.evidence.path(one.evidence.picture).read_bytes() == bytes(5)
    assert site.files() == [one.evidence.picture] * 2
    site.evidence.delete(site.events.delete(one.id))
    assert site.files() == []
    with pytest.raises(NotFoundError):
        site.evidence.path(one.evidence.picture)


def test_evidence_that_is_too_old_is_deleted_on_its_node(site):
    old, fresh = (kept(site.events, site.there, WALL_S + 86_400 * day, 5) for day in (0, 20))
    site.evidence.path(old.evidence.picture)
    site.clock.passes(86_400.0 * 31)
    site.evidence.start()
    until(lambda: "too old" in site.events.get(old.id).evidence.problem)
    until(lambda: site.files() == [fresh.evidence.picture])


def batch(upto: int, *items: Reliable) -> Batch:
    return Batch("key", 1.0, 1, {}, upto, items, (), (), Load())


class Reports:
    """What a server receives from a worker's process."""

    def __init__(self) -> None:
        self.incarnation = Incarnation("key", "a/0", 0.0, Orders(0, (), ModelOrder("m", "ab" * 32, Thresholds())))
        self.evidence: list[tuple[str, Evidence]] = []
        self.inbox = Inbox()
        self.inbox.report_evidence_to(lambda event_id, evidence: self.evidence.append((event_id, evidence)))


def test_incomplete_evidence_of_a_lost_worker_is_reported_as_lost():
    reports = Reports()
    asked, pictured, filmed, refused = (event(float(number)) for number in range(4))
    for one in (asked, pictured, filmed, refused):
        reports.inbox.request_evidence(reports.incarnation, EvidenceRequest(one, result()))
    stills = Evidence(picture="a.jpg", bytes=5)
    items = [
        KeptEvidence(pictured.id, stills),
        KeptEvidence(filmed.id, stills),
        KeptEvidence(filmed.id, replace(stills, clip="a.mp4", bytes=9)),
        KeptEvidence(refused.id, Evidence(problem="disk full")),
    ]
    reports.inbox.take(reports.incarnation, batch(4, *items))
    known = list(reports.evidence)
    reports.inbox.end(reports.incarnation)
    lost = {asked.id: Evidence(problem=NO_WORKER), pictured.id: replace(stills, problem=NO_CLIP)}
    assert dict(reports.evidence[len(known) :]) == lost
    reports.inbox.end(reports.incarnation)
    assert len(reports.evidence) == len(known) + len(lost)


def test_a_report_that_fails_does_not_block_or_repeat_others():
    reports, records = Reports(), []

    def keep(record: object) -> None:
        records.append(record)
        if len(records) == 2:
            raise RuntimeError("a defect")

    reports.inbox.report_checks_to(keep)
    items = [EndedCheck(replace(CHECK, id=f"{number:032x}")) for number in range(3)]
    with pytest.raises(RuntimeError):
        reports.inbox.take(reports.incarnation, batch(3, *items))
    reports.inbox.take(reports.incarnation, batch(3, *items[reports.incarnation.received :]))
    assert records == [item.record for item in items]


def test_evidence_requested_from_a_restarted_worker_is_reported_as_lost(stage):
    made = stage("a")
    (worker,) = made.head._membership.workers()
    one = event(camera="none of its own")  # so that no evidence is complete before
    made.head.inbox.request_evidence(worker.current, EvidenceRequest(one, result()))
    made.nodes.links["a"].start_anew()
    until(lambda: made.kept == [(one.id, Evidence(problem=NO_WORKER))])
