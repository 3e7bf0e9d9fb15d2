"""Real reverse proxies before a server, with the configurations of docs/operations.md: nginx and Caddy."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.patience import PATIENCE_S
from tests.ports import free_port

WHERE = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


@dataclass(frozen=True)
class ReverseProxy:
    """A kind of proxy.

    Args:
        package: of Debian that has it.
        configured: the arguments of its command line, given its folder, its port, its certificate and key, and the
            server's address; writes its configuration into the folder.
    """

    program: str
    package: str
    configured: Callable[[Path, int, tuple[Path, Path], str], list[str]]


def documented(language: str) -> str:
    """A configuration in the document."""
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def _nginx(folder: Path, port: int, certificate: tuple[Path, Path], server: str) -> list[str]:
    block = documented("nginx").replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    block = re.sub(r"/etc/letsencrypt/\S+/fullchain.pem", str(certificate[0]), block)
    block = re.sub(r"/etc/letsencrypt/\S+/privkey.pem", str(certificate[1]), block)
    block = block.replace("http://127.0.0.1:8080", server)
    own = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"pid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    file = folder / "nginx.conf"
    file.write_text(f"{main}http {{\n  access_log off;\n{own}{block}}}\n")
    return ["-c", str(file), "-g", "daemon off;"]


def _caddy(folder: Path, port: int, certificate: tuple[Path, Path], server: str) -> list[str]:
    """With a certificate of the test's, as nobody vouches for one of Caddy's own making here."""
    site = documented("caddy").replace(
        "detect.example {", f"https://127.0.0.1:{port} {{\n  tls {certificate[0]} {certificate[1]}"
    )
    site = site.replace("127.0.0.1:8080", server.removeprefix("http://"))
    own = "admin off\n  auto_https disable_redirects"
    file = folder / "Caddyfile"
    file.write_text(f"{{\n  {own}\n}}\n{site}")
    return ["run", "--config", str(file), "--adapter", "caddyfile"]


PROXIES = (ReverseProxy("nginx", "nginx-light", _nginx), ReverseProxy("caddy", "caddy", _caddy))


@contextlib.contextmanager
def proxied(kind: ReverseProxy, folder: Path, certificate: tuple[Path, Path], server: str) -> Iterator[str]:
    """The address of a proxy before a server; skips a test where its program is absent."""
    program = shutil.which(kind.program, path=WHERE)
    if program is None:
        pytest.skip(f"{kind.program} is absent: apt-get install {kind.package}")
    port = free_port()
    own = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    process = subprocess.Popen(
        [program, *kind.configured(folder, port, certificate, server)], env={**os.environ, **own}
    )
    try:
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
