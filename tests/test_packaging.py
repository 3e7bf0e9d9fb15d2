"""Packaging: dependencies and extras, the contents of the wheel, and the single version number."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from stream_detect import __version__
from stream_detect.errors import MissingExtraError
from stream_detect.extras import PACKAGES, missing, require
from tests.conftest import LONGEST, SLOW

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TRAINING = ("stream_detect/training/", "stream_detect/evaluation/", "stream_detect/models/tensorflow.py")
"""Modules that commands import after checking for the extra `train`."""
OWNERS = {
    "mqtt": ("stream_detect/alerts/mqtt.py",),
    "cluster": ("stream_detect/cluster/ray_nodes.py",),
    "c2pa": ("stream_detect/media/credentials.py", "stream_detect/media/signing.py"),
}
PARTS = {"starlette": "fastapi", "pydantic_core": "pydantic", "aioice": "aiortc", "OpenSSL": "aiortc"}
"""Packages on which a declared one is built, and which it installs in a matching version."""
WITHOUT_EXTRAS = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {names} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
"""
RUN = "from stream_detect.cli import main; main(sys.argv[1:])"


def distribution(requirement: str) -> str:
    """The normalised name of what a requirement asks for."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")


def imported_packages(file: Path) -> Iterator[str]:
    """Third-party packages that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            package = name.partition(".")[0]
            if package not in sys.stdlib_module_names and package != "stream_detect":
                yield package


def without_extras(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`stream-detect` in an environment without the packages of extras."""
    names = {name for names in PACKAGES.values() for name in names}
    command = [sys.executable, "-c", WITHOUT_EXTRAS.format(names=names) + RUN, *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_DETECT_")}
    env = {**inherited, "STREAM_DETECT_SETTINGS": os.devnull, "STREAM_DETECT_SERVER__PORT": "0", **env}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_what_a_module_imports_is_declared_for_it():
    extras = {name: {distribution(one) for one in wanted} for name, wanted in optional_dependencies().items()}
    distributions = packages_distributions()
    undeclared = []
    for file in sorted((ROOT / "stream_detect").rglob("*.py")):
        place = file.relative_to(ROOT).as_posix()
        declared = {distribution(one) for one in PROJECT["project"]["dependencies"]}
        declared |= extras["train"] if place.startswith(TRAINING) else set()
        declared |= {name for extra, owners in OWNERS.items() if place in owners for name in extras[extra]}
        for package in imported_packages(file):
            names = {distribution(PARTS.get(package, name)) for name in distributions.get(package, [package])}
            if not declared & names:
                undeclared.append(f"{package} in {place}")
    assert not undeclared


def optional_dependencies() -> dict[str, list[str]]:
    """Requirements of each extra."""
    return PROJECT["project"]["optional-dependencies"]


def test_the_extras_of_the_code_are_those_of_the_package():
    assert set(PACKAGES) == set(optional_dependencies())
    distributions = packages_distributions()
    for extra, packages in PACKAGES.items():
        wanted = {distribution(one) for one in optional_dependencies()[extra]}
        for package in packages:
            assert wanted & {distribution(name) for name in distributions[package]}, package


def test_the_server_runs_without_any_extra(start_server):
    names = {name for names in PACKAGES.values() for name in names}
    server = start_server((sys.executable, "-c", WITHOUT_EXTRAS.format(names=names) + RUN, "serve"))
    assert server.get("/readyz") == {"ready": True}
    assert server.get("/api/status")["version"] == __version__


@pytest.mark.parametrize("command", ["analyze --help", "explain --help", "models list", "doctor"])
def test_commands_of_serving_run_without_any_extra(command, tmp_path):
    completed = without_extras(*command.split(), STREAM_DETECT_STORAGE__FOLDER=str(tmp_path))
    assert completed.returncode == 0, completed.stderr + completed.stdout


@pytest.mark.parametrize(
    ("command", "env", "extra"),
    [
        ("train --data x --to y", {}, "train"),
        ("train --help", {}, "train"),
        ("evaluate --manifest x --root y", {}, "train"),
        ("models import x.h5 --to {folder} --name x", {}, "train"),
        ("models pull --to {folder} --yes", {}, "train"),
        ("models export meso4-dfdc --to {folder}/x.tflite", {}, "train"),
        ("serve", {"MODEL__BACKEND": "tensorflow"}, "train"),
        ("serve", {"STORAGE__DATABASE_URL": "postgresql://viewer:hunter2@127.0.0.1:9/events"}, "postgres"),
        ("serve", {"MQTT__URL": "mqtt://127.0.0.1:9"}, "mqtt"),
        ("serve", {"REVIEW__TRUST_ANCHORS": "x.pem"}, "c2pa"),
        ("analyze x.jpg", {"REVIEW__TRUST_ANCHORS": "x.pem"}, "c2pa"),
        ("serve", {"EVIDENCE__SIGNING_CERTIFICATE": "x.pem", "EVIDENCE__SIGNING_KEY": "x.key"}, "c2pa"),
    ],
)
def test_what_lacks_its_extra_says_in_one_line_how_to_install_it(command, env, extra, tmp_path):
    env = {"STORAGE__FOLDER": str(tmp_path / "data"), **env}
    completed = without_extras(
        *command.format(folder=tmp_path).split(), **{f"STREAM_DETECT_{name}": value for name, value in env.items()}
    )
    assert completed.returncode == 2, completed.stderr
    assert completed.stderr.endswith(f'pip install "stream-detect[{extra}]"\n')
    assert completed.stderr.count("\n") == 1
    assert "hunter2" not in completed.stderr


def test_the_doctor_names_the_extra_that_the_settings_need(tmp_path):
    completed = without_extras(
        "doctor", STREAM_DETECT_STORAGE__FOLDER=str(tmp_path), STREAM_DETECT_MQTT__URL="mqtt://x:1"
    )
    assert completed.returncode == 1
    line = next(line for line in completed.stdout.splitlines() if line.startswith("MISSING"))
    assert 'pip install "stream-detect[mqtt]"' in line


def test_an_extra_that_is_here_is_no_error():
    for extra in PACKAGES:
        assert missing(extra) == ()
        require(extra, "a test")


def test_the_error_names_the_feature_and_the_missing_packages(monkeypatch):
    monkeypatch.setitem(PACKAGES, "mqtt", ("json", "no_such_package"))
    with pytest.raises(MissingExtraError, match=r"^mqtt\.url requires no_such_package: "):
        require("mqtt", "mqtt.url")


def test_the_serving_lock_has_no_package_of_an_extra():
    locked = set(
        re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    )
    wanted = {distribution(one) for one in PROJECT["project"]["dependencies"]}
    optional = {distribution(one) for ones in optional_dependencies().values() for one in ones}
    assert wanted <= locked | {"opencv-python-headless"}
    assert not locked & optional


@pytest.fixture(scope="module")
def clean_checkout(tmp_path_factory) -> Path:
    """The sources of a wheel, without the page and without remains of earlier builds."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "MANIFEST.in"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    ignored = shutil.ignore_patterns("__pycache__", "page")
    shutil.copytree(ROOT / "stream_detect", folder / "stream_detect", ignore=ignored)
    return folder


def build(checkout: Path, to: Path) -> subprocess.CompletedProcess[str]:
    pip = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir", str(to)]
    return subprocess.run(pip, cwd=checkout, capture_output=True, text=True, timeout=300, check=False)


def test_a_wheel_without_the_page_is_not_built(clean_checkout, tmp_path):
    completed = build(clean_checkout, tmp_path)
    assert completed.returncode != 0
    assert "make wheel" in completed.stdout + completed.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_a_wheel_of_a_checkout_builds_the_page(clean_checkout, tmp_path):
    checkout = shutil.copytree(clean_checkout, tmp_path / "checkout")
    shutil.copytree(ROOT / "web", checkout / "web", ignore=shutil.ignore_patterns("node_modules", "tests"))
    if not (ROOT / "web" / "node_modules").is_dir():
        pytest.skip("the page's packages are not installed: `make web`")
    (checkout / "web" / "node_modules").symlink_to(ROOT / "web" / "node_modules")
    completed = build(checkout, tmp_path)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "stream_detect/page/index.html" in names
    assert any(name.startswith("stream_detect/page/assets/index-") for name in names)


def test_a_wheel_has_the_page_the_models_and_nothing_that_is_gone(clean_checkout, tmp_path):
    page = clean_checkout / "stream_detect" / "page"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>")
    (page / "assets" / "index.js").write_text("")
    left = clean_checkout / "build" / "lib" / "stream_detect" / "moved.py"  # left by an earlier build
    left.parent.mkdir(parents=True)
    left.write_text("")
    completed = build(clean_checkout, tmp_path)
    assert completed.returncode == 0, completed.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"stream_detect-{__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "stream_detect"
    shipped = {file for folder in ("models/shipped", "analysis/networks") for file in (package / folder).rglob("*.*")}
    modules = set(package.rglob("*.py"))
    wanted = {f"stream_detect/{file.relative_to(package).as_posix()}" for file in shipped | modules}
    assert wanted | {"stream_detect/page/index.html", "stream_detect/page/assets/index.js"} <= names
    assert "stream_detect/moved.py" not in names
    assert {name.rpartition("/")[2] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_the_version_is_in_one_place():
    assert "version" not in PROJECT["project"]
    assert '"version"' not in (ROOT / "web" / "package.json").read_text(encoding="utf-8")
    newest = re.search(
        r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert newest
    assert newest[1] == __version__


def test_the_files_that_are_called_slow_are_there():
    assert all((ROOT / "tests" / name).is_file() for name in (*SLOW, *LONGEST))
