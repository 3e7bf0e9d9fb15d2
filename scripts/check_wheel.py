"""Installs dist/*.whl into a fresh environment with the locked packages of serving, and serves with it.

    make wheel && .venv/bin/python scripts/check_wheel.py

It fails unless the wheel's requirements are met by requirements.lock, and the installed server, started in an empty
folder, shows its page, has its model and judges that it is ready.
"""

import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 30


def main() -> int:
    """Exit status: 0 when the wheel serves."""
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    if len(wheels) != 1:
        sys.stderr.write(f"expected one wheel in dist/, received {len(wheels)}: run `make wheel`\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        install(wheels[0], Path(folder) / "venv")
        serve(Path(folder) / "venv" / "bin", Path(folder))
    print(f"{wheels[0].name} serves")
    return 0


def install(wheel: Path, environment: Path) -> None:
    """A fresh environment with the wheel. uv links files from its cache: a second run takes seconds."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    pip = [uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python")]
    subprocess.run([*pip, "--require-hashes", "--requirement", ROOT / "requirements.lock"], check=True)
    subprocess.run([*pip, "--no-deps", wheel], check=True)
    subprocess.run([uv, "pip", "check", "--quiet", "--python", environment / "bin" / "python"], check=True)


def serve(programs: Path, folder: Path) -> None:
    """Starts the installed server away from the checkout, and looks at what it answers."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STREAM_DETECT_", "PYTHONPATH", "VIRTUAL_ENV"))
    }
    environment["STREAM_DETECT_SERVER__PORT"] = "0"
    program = programs / "stream-detect"
    for arguments in (["--version"], ["doctor"]):
        subprocess.run([program, *arguments], cwd=folder, env=environment, check=True)
    with subprocess.Popen([program, "serve"], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            look(address(server))
        finally:
            server.terminate()
    if server.returncode:
        sys.exit(f"expected the server to end well, received exit status {server.returncode}")


def address(server: "subprocess.Popen[str]") -> str:
    """Where it serves, as it says in its log."""
    assert server.stderr is not None  # noqa: S101 - it was asked for
    said = []
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"serving at (\S+)", line):
            return found[1]
    sys.exit(f"expected a server that starts, received: {''.join(said)}")


def look(url: str) -> None:
    """The page and all that it loads at once, readiness, and the model."""
    page = fetch(url)
    assets = re.findall(r'(?:src|href)="([^"#]+)"', page)
    if not any(name.endswith(".js") for name in assets):
        sys.exit(f"expected a page that loads a script, received {page[:200]}")
    for name in assets:
        fetch(f"{url}/{name.lstrip('./')}")
    fetch(f"{url}/readyz")
    if "lite0-faces" not in fetch(f"{url}/api/models"):
        sys.exit("expected the shipped models at /api/models")


def fetch(url: str) -> str:
    """A route's answer; any status but 2xx is an error."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=TIMEOUT_S) as answer:
        return str(answer.read().decode())


if __name__ == "__main__":
    sys.exit(main())
