"""Exit status 1 means that a command found something: neither a closed pipe nor an error causes it."""

import os
import subprocess
import sys

import pytest

COMMAND = (sys.executable, "-c", "from stream_detect.cli import main; main()")
LISTS = (
    ["doctor"],
    ["models", "list"],
    ["users", "list"],
    ["verify-audit"],
    ["verify-evidence"],
    ["cluster", "leases"],
)


@pytest.fixture
def environment(tmp_path):
    others = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_DETECT_")}
    return others | {"STREAM_DETECT_SETTINGS": os.devnull, "STREAM_DETECT_STORAGE__FOLDER": str(tmp_path / "data")}


@pytest.mark.parametrize("arguments", LISTS, ids=" ".join)
def test_a_reader_that_is_gone_is_an_error(environment, arguments):
    gone, closed = os.pipe()
    os.close(gone)  # like `| head` after its last line
    with subprocess.Popen((*COMMAND, *arguments), stdout=closed, stderr=subprocess.PIPE, env=environment) as process:
        os.close(closed)
        _, output = process.communicate()
    assert process.returncode == 2
    assert b"Traceback" not in output


@pytest.mark.parametrize("arguments", [["--help"], ["users", "list"]], ids=" ".join)
def test_a_full_disk_is_one_line(environment, arguments):
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run((*COMMAND, *arguments), stdout=full, stderr=subprocess.PIPE, env=environment, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_standard_stream_may_be_closed(environment, number):
    command = ["sh", "-c", f'exec "$@" {number}>&-', "sh", *COMMAND, "users", "list"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_unexpected_exceptions_are_errors(environment):
    broken = "import stream_detect.settings.file as file; file.load_settings = None; " + COMMAND[2]
    command = (sys.executable, "-c", broken, "verify-audit")
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"TypeError" in done.stderr


def test_what_was_found_is_reported(environment):
    subprocess.run((*COMMAND, "users", "list"), env=environment, check=True)  # creates the database
    head = subprocess.run((*COMMAND, "verify-audit", "--head", "ab" * 32), env=environment, check=False)
    assert head.returncode == 1
