"""The command `stream-detect doctor`: checks whether the machine has everything that serving needs."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from stream_detect.analysis.detector import model_file
from stream_detect.api.page import FOLDER, read_page
from stream_detect.app.connections import MAX_CONNECTIONS
from stream_detect.app.server import listen, raise_open_files
from stream_detect.app.tls import certificate_of
from stream_detect.errors import (
    AddressError,
    IceServerError,
    NotFoundError,
    SettingsError,
    StorageError,
    StreamDetectError,
)
from stream_detect.extras import PACKAGES, missing, require
from stream_detect.media.credentials import INSTALL, trust_anchors_of
from stream_detect.media.signing import ContentSigner
from stream_detect.models.backend import load_model
from stream_detect.models.registry import Registry
from stream_detect.settings import Settings
from stream_detect.settings.file import load_settings
from stream_detect.sources.address import parse_address
from stream_detect.storage.database import FILE_NAME, Database, tables_of
from stream_detect.storage.users import StoredUsers
from stream_detect.webrtc.ice_servers import trouble
from stream_detect.webrtc.network import HostAddresses

_FILES_A_CAMERA = 8
_FILES_A_SESSION = 8
"""File descriptors per session: sockets (one per network address for ICE), pipes and files."""

_LIBRARIES = (
    "aiortc",
    "av",
    "opencv-python-headless",
    "numpy",
    "openvino",
    "fastapi",
    "uvicorn",
    "pydantic",
    "sqlalchemy",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Args:
        subject: what was checked.
        well: whether nothing is missing.
        detail: what was found, or what is missing and what to do.
    """

    subject: str
    well: bool
    detail: str


def examine(path: Path | None, env: Mapping[str, str]) -> list[Finding]:
    """Checks everything that serving needs.

    Args:
        path: the settings file, see `load_settings`.
        env: environment variables.
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
        ("extras", _extras),
        ("content credentials", _credentials),
        ("storage", _storage),
        ("sign-in", _sign_in),
        ("cameras", _cameras),
        ("address", _address),
        ("TLS", _tls),
        ("media addresses", _media_addresses),
        ("ICE servers", _ice_servers),
        ("open files", _open_files),
    )
    return [*findings, *(_look(subject, settings, look) for subject, look in looks)]


def table(findings: Iterable[Finding]) -> str:
    """One line per finding."""
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
    load_model(bundle, settings.model.backend, settings.model.threads, settings.model.precision)
    return f"{bundle.card.name} by {settings.model.backend}, sha256 {bundle.sha256[:12]} as stated in its card"


def _page(_: Settings) -> str:
    files = read_page()
    if not files:
        raise NotFoundError(f"expected the built page in {FOLDER}; run `make web`")
    return f"{len(files) - 1} files in {FOLDER}"


def _extras(settings: Settings) -> str:
    """Extras that the settings need must be installed; of the others it says whether they are."""
    if settings.mqtt.url is not None:
        require("mqtt", "mqtt.url")
    return ", ".join(f"{extra} {'is not' if missing(extra) else 'is'} installed" for extra in PACKAGES)


def _credentials(settings: Settings) -> str:
    """The reader of Content Credentials, and the certificate that signs evidence."""
    trust_anchors_of(settings.review.trust_anchors)
    signer = ContentSigner.of(settings.evidence)
    if missing("c2pa"):
        return f"Content Credentials of analysed files are not read; {INSTALL}"
    trust = "" if settings.review.trust_anchors else ", no signer is trusted (review.trust_anchors)"
    if signer is None:
        return f"read{trust}; evidence is not signed (evidence.signing_certificate)"
    return f"read{trust}; evidence is signed by {signer.holder} until {signer.expires:%Y-%m-%d}"


def _storage(settings: Settings) -> str:
    """Creates nothing: if the folder is missing, its parent is checked."""
    folder, remote = settings.storage.folder, settings.storage.database_url is not None
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise StorageError(f"expected a writable folder, received {place}; set storage.folder to another")
    free_gb = shutil.disk_usage(place).free / 1e9
    if not remote and not (folder / FILE_NAME).exists():
        return f"{folder} will be created, {free_gb:.0f} GB free"
    change = {"none": ", its tables will be created", "older": ", the next start changes its older tables for good"}
    answers = f"{'postgresql' if remote else 'sqlite'} answers{change.get(tables_of(settings.storage), '')}"
    return f"{answers}; {folder}, {free_gb:.0f} GB free"


def _sign_in(settings: Settings) -> str:
    """Who can sign in; creates nothing."""
    names: list[str] = []
    tables = tables_of(settings.storage)
    if tables == "older":
        return "the users are known once the next start has changed the tables of the database"
    if tables == "current":
        with Database.open(settings.storage, alone=False) as database:
            names = [user.name for user in StoredUsers(database).users() if not user.disabled]
    methods = [
        *([f"{len(names)} user{'s' if len(names) > 1 else ''}"] if names else []),
        *(["the settings' token"] if settings.server.token else []),
        *(["users of a proxy"] if settings.access.proxy_header else []),
        *([settings.access.oidc_title] if settings.access.oidc_issuer else []),
    ]
    if methods:
        return ", ".join(methods)
    if settings.server.sign_in:
        raise SettingsError("nobody can sign in yet (server.sign_in): stream-detect users add NAME")
    return "no access control: everybody who can reach the loopback address of this machine is an admin"


def _cameras(settings: Settings) -> str:
    for camera in settings.cameras:
        try:
            parse_address(camera.url.get_secret_value(), from_settings_file=True)
        except AddressError as error:
            raise AddressError(f"{camera.name}: {error}") from None
    return f"{len(settings.cameras)} in the settings, each with a usable address"


def _open_files(settings: Settings) -> str:
    files = raise_open_files()
    needed = (
        MAX_CONNECTIONS
        + _FILES_A_CAMERA * len(settings.cameras)
        + _FILES_A_SESSION * (settings.webrtc.max_sessions + settings.monitoring.max_viewers)
    )
    if files < needed:
        raise SettingsError(
            f"expected a limit of at least {needed} open files (RLIMIT_NOFILE), received {files}; raise it with "
            "ulimit -n, or LimitNOFILE under systemd"
        )
    return f"{files if files < sys.maxsize else 'any number'} allowed, up to {needed} needed"


def _address(settings: Settings) -> str:
    with listen(settings) as listener:
        host, port = listener.getsockname()[:2]
    return f"{host} port {port} is free"


def _tls(settings: Settings) -> str:
    """A self-signed certificate is not created here."""
    if settings.server.tls == "self_signed":
        return "a self-signed certificate, in storage.folder"
    certificate = certificate_of(settings)
    if certificate is None:
        return "off; browsers open a camera only on localhost or https"
    if certificate.problems:
        raise SettingsError("; ".join(certificate.problems))
    return certificate.summary


def _media_addresses(settings: Settings) -> str:
    """Addresses announced to WebRTC peers, and whether the ports are free."""
    hosts, ports = HostAddresses(settings.webrtc), settings.webrtc.udp_ports
    hosts.check(settings.most_sessions)
    told = {told: None for address in hosts.addresses() for told in hosts.announced(address)}
    return f"peers receive {', '.join(told) or 'only the addresses of ICE servers'}, UDP port {ports or 'any'}"


def _ice_servers(settings: Settings) -> str:
    """Requests our address from each STUN server, and a relayed one from each TURN server."""
    problems = asyncio.run(trouble(settings.webrtc))
    if problems:
        raise IceServerError("; ".join(problems))
    count = sum(len(server.urls) for server in settings.webrtc.ice_servers)
    return f"{count} answer, a TURN server with a relayed address" if count else "none configured; needed across NATs"
