"""The process and the repository: start, stop, exit statuses, forbidden imports, lock files."""

import datetime as dt
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import FRESH, STOPPED_S
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[1]
READY_S = 12.0
DOCS = sorted((ROOT / "docs").glob("*.md"))
MARKDOWN = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", *(f"docs/{path.name}" for path in DOCS)]
COLUMNS = 100
NEVER = ("tensorflow", "keras", "sklearn", "matplotlib", "scipy", "h5py", "ray", "authlib", "jinja2")


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs one of our commands to its end."""
    command = [sys.executable, "server.py", *arguments[1:]] if arguments[0] == "server.py" else list(arguments)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_DETECT_")}
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **inherited,
            "STREAM_DETECT_SETTINGS": os.devnull,
            "STREAM_DETECT_STORAGE__FOLDER": f"{folder}/data",
            **env,
        }
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


def imported(log: str) -> set[str]:
    """Top-level packages in the output of `python -X importtime`."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in log.splitlines() if "|" in line}


def test_the_server_is_ready_after_little_work(start_server):
    """A bound on processor time, which other work on the machine hardly affects; `make bench` measures seconds."""
    server = start_server(FRESH)
    assert server.get("/readyz") == {"ready": True}
    spent = psutil.Process(server.process.pid).cpu_times()
    assert spent.user + spent.system <= READY_S


def test_serving_never_imports_what_trains_nor_what_few_need(start_server, tmp_path):
    folder = str(tmp_path / "data")
    for never in (NEVER, (*NEVER, "alembic")):  # a second start finds its tables complete
        server = start_server((sys.executable, "-X", "importtime", "server.py"), STORAGE__FOLDER=folder)
        assert server.get("/readyz") == {"ready": True}
        server.stop()
        packages = imported("".join(server.log))
        assert {"fastapi", "openvino", "aiortc"} <= packages
        assert not packages & set(never)


@pytest.mark.parametrize("command", ["--help", "--version", "serve --help", "doctor --help"])
def test_help_imports_nothing_heavy(command):
    code = "from stream_detect.cli import main; main()"
    completed = run(sys.executable, "-X", "importtime", "-c", code, *command.split())
    assert completed.returncode == 0
    assert not imported(completed.stderr) & {*NEVER, "openvino", "aiortc", "cv2", "fastapi"}


def test_server_py_and_stream_detect_serve_do_the_same_thing(start_server):
    console_script = Path(sys.executable).parent / "stream-detect"
    statuses = [start_server(command).get("/api/status") for command in (FRESH, (str(console_script), "serve"))]
    assert statuses[0] == statuses[1]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_and_soon(start_server, stop, monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        server = start_server(FRESH)
        assert systemd.recv(100) == b"READY=1"
        server.process.send_signal(stop)
        assert systemd.recv(100) == b"STOPPING=1"
    assert server.process.wait(STOPPED_S) == 0
    assert "Traceback" not in "".join(server.log)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"STREAM_DETECT_SERVER__PROT": "1"}, "server.prot is not a setting; did you mean port?"),
        ({"STREAM_DETECT_SERVER__HOST": "0.0.0.0"}, "set an access token"),
        (
            {"STREAM_DETECT_SERVER__HOST": "203.0.113.1", "STREAM_DETECT_TOKEN": "x" * 16},
            "cannot listen on 203.0.113.1",
        ),
        ({"STREAM_DETECT_MODEL__NAME": "absent"}, "expected the name of a model bundle, received 'absent'"),
        ({"STREAM_DETECT_STORAGE__FOLDER": f"{os.devnull}/data"}, f"expected {os.devnull}/data to be readable"),
        (
            {"STREAM_DETECT_STORAGE__DATABASE_URL": "postgresql://viewer:hunter2@127.0.0.1:9/events"},
            "PostgreSQL database events at 127.0.0.1 cannot be used",
        ),
    ],
)
def test_what_cannot_start_says_why_in_one_line(env, expected):
    completed = run("server.py", STREAM_DETECT_SERVER__PORT="0", **env)
    assert completed.returncode == 2
    assert expected in completed.stderr
    assert completed.stderr.count("\n") == 1
    assert "hunter2" not in completed.stderr


def test_a_certificate_and_its_key_give_tls(start_server, certificate):
    file, key = certificate
    server = start_server(SERVER__TLS_CERTIFICATE=str(file), SERVER__TLS_KEY=str(key))
    assert server.url.startswith("https://")
    context = ssl.create_default_context(cafile=str(file))
    with urllib.request.urlopen(f"{server.url}/healthz", timeout=60, context=context) as answer:  # noqa: S310
        assert answer.status == 200
        assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_a_certificate_that_is_none_is_named(tmp_path):
    for name in ("a.pem", "b.pem"):
        (tmp_path / name).write_text("nothing")
    env = {"STREAM_DETECT_SERVER__TLS_CERTIFICATE": str(tmp_path / "a.pem")}
    completed = run(
        "server.py", STREAM_DETECT_SERVER__PORT="0", STREAM_DETECT_SERVER__TLS_KEY=str(tmp_path / "b.pem"), **env
    )
    assert completed.returncode == 2
    assert "a.pem" in completed.stderr
    assert completed.stderr.count("\n") == 1


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file, key_file = tmp_path / "server.pem", tmp_path / "server.key"
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    unencrypted = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted))
    return file, key_file


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        completed = run("server.py", STREAM_DETECT_SERVER__PORT=port)
    assert completed.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in completed.stderr


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "model.keras"])
def test_a_tampered_bundle_does_not_start_and_is_named(tmp_path, name):
    shipped = ROOT / "stream_detect" / "models" / "shipped"
    shutil.copytree(shipped, tmp_path / "bundles")
    bundle = next((tmp_path / "bundles").glob("*/card.json")).parent
    with (bundle / name).open("r+b") as file:
        byte = file.read(1)[0]
        file.seek(0)
        file.write(bytes([byte ^ 1]))
    env = {"STREAM_DETECT_MODEL__FOLDER": str(tmp_path / "bundles"), "STREAM_DETECT_MODEL__NAME": bundle.name}
    completed = run("server.py", STREAM_DETECT_SERVER__PORT="0", **env)
    assert completed.returncode == 2
    assert str(bundle / name) in completed.stderr
    assert completed.stderr.count("\n") == 1


def test_the_doctor_lists_findings_and_problems():
    well = run(
        sys.executable, "-c", "from stream_detect.cli import main; main(['doctor'])", STREAM_DETECT_SERVER__PORT="0"
    )
    assert well.returncode == 0, well.stdout
    assert "MISSING" not in well.stdout
    assert "data will be created" in well.stdout
    code = "from stream_detect.cli import main; main(['doctor'])"
    ill = run(sys.executable, "-c", code, STREAM_DETECT_SERVER__PORT="0", STREAM_DETECT_MODEL__NAME="absent")
    assert ill.returncode == 1
    assert [line.split()[1] for line in ill.stdout.splitlines() if line.startswith("MISSING")] == ["model"]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-node.lock"])
def test_the_lock_files_have_hashes_and_no_addresses(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "--hash=sha256:" in text
    assert "://" not in text
    assert "/" not in "".join(line for line in text.splitlines() if "==" in line)


@pytest.mark.parametrize("document", MARKDOWN)
def test_every_link_of_a_document_leads_somewhere(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / document).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("document", MARKDOWN)
def test_a_document_wraps_at_100_columns(document):
    """Except rows of tables and images, which Markdown cannot wrap; so that a diff shows the changed sentence."""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    long = [number for number, line in enumerate(lines, 1) if len(line) > COLUMNS and not line.startswith(("|", "!["))]
    assert long == [], "wrap these lines"


def test_the_architecture_document_names_existing_paths():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "stream_detect"
    named = set(re.findall(r"`([\w/.]+\.py)`", text))
    rooms = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", text, re.MULTILINE)
    starts = {package / room / name for room, names in rooms for name in re.findall(r"`(\w+\.py)`", names)}
    assert starts
    assert [str(file) for file in starts if not file.is_file()] == []
    paths = {name for name in named if "/" in name}
    assert [name for name in paths if not ((package / name).is_file() or (ROOT / name).is_file())] == []
    unnamed = {folder.name for folder in package.iterdir() if (folder / "__init__.py").is_file()}
    assert {room for room in unnamed if f"`{room}`" not in text} == set()


def test_the_web_lock_file_has_no_addresses():
    assert '"resolved"' not in (ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")


def test_ci_runs_what_developers_run():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make check" in script.read_text(encoding="utf-8")
    assert "make test" in script.read_text(encoding="utf-8")
