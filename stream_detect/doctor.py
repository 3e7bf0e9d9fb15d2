"""Whether this machine has what serving takes: settings enter, findings leave, each with its cure if need be."""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from stream_detect.analysis.faces import model_file
from stream_detect.api.page import FOLDER, read_page
from stream_detect.api.serve import listen
from stream_detect.errors import NotFoundError, StreamDetectError
from stream_detect.models.backend import load_model
from stream_detect.models.registry import Registry
from stream_detect.settings import Settings
from stream_detect.settings_file import load_settings

_LIBRARIES = ("aiortc", "av", "opencv-python-headless", "numpy", "openvino", "fastapi", "uvicorn", "pydantic")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found.

    Args:
        subject: what was looked at.
        well: nothing is missing.
        detail: what is there, or what is missing and how to mend it.
    """

    subject: str
    well: bool
    detail: str


def examine(path: Path | None, env: Mapping[str, str]) -> list[Finding]:
    """Look at everything that serving takes.

    Args:
        path: the settings file, as for `load_settings`.
        env: the environment's variables.
    """
    findings = [_python(), *map(_library, _LIBRARIES)]
    try:
        settings = load_settings(path, env)
    except StreamDetectError as error:
        return [*findings, Finding("settings", well=False, detail=str(error))]
    looks: Iterable[tuple[str, Callable[[Settings], str]]] = (
        ("settings", lambda _: "read and valid"),
        ("model", _model),
        ("face detector", lambda given: str(model_file(given.faces.detector))),
        ("page", _page),
        ("address", _address),
    )
    return [*findings, *(_look(subject, settings, look) for subject, look in looks)]


def table(findings: Iterable[Finding]) -> str:
    """One line a finding."""
    return "\n".join(f"{'ok     ' if one.well else 'MISSING'}  {one.subject:<24}{one.detail}" for one in findings)


def _look(subject: str, settings: Settings, look: Callable[[Settings], str]) -> Finding:
    try:
        return Finding(subject, well=True, detail=look(settings))
    except StreamDetectError as error:
        return Finding(subject, well=False, detail=str(error))


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    well = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Finding("python", well, version if well else f"{version}; expected 3.11, 3.12 or 3.13")


def _library(name: str) -> Finding:
    try:
        return Finding(name, well=True, detail=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, well=False, detail="not installed; run `make run`, or pip install -r requirements.lock")


def _model(settings: Settings) -> str:
    bundle = Registry.of(settings.model.folder).load(settings.model.name)
    load_model(bundle, settings.model.backend, settings.model.threads)
    return f"{bundle.card.name} by {settings.model.backend}, sha256 {bundle.sha256[:12]} as its card states"


def _page(_: Settings) -> str:
    files = read_page()
    if not files:
        raise NotFoundError(f"expected the built page in {FOLDER}; run `make web`")
    return f"{len(files) - 1} files in {FOLDER}"


def _address(settings: Settings) -> str:
    with listen(settings) as listener:
        host, port = listener.getsockname()[:2]
    return f"{host} port {port} is free"
