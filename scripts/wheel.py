"""The build step of setuptools for wheels (see pyproject.toml): builds the page where it is missing.

So `pip install` of a checkout or of a repository's address has the page too. Node is the one on the PATH, else the one
of a locked wheel (scripts/npm.py).
"""

import shutil
import subprocess
import sys
from pathlib import Path

from setuptools.command.build_py import build_py
from setuptools.errors import SetupError

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "stream_detect" / "page" / "index.html"
WEB = ROOT / "web"


class BuildPy(build_py):
    """Collects modules and data of the package once the page is there."""

    def run(self) -> None:
        """Collect them.

        Raises:
            SetupError: the page is missing and cannot be built. An editable installation does without it: `make run`
                builds it.
        """
        if not self.editable_mode:
            if not PAGE.is_file():
                build_page()
            # What an earlier build left would go into the wheel as well: modules that were moved since.
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


def build_page() -> None:
    """Build it from web/, with the locked packages, which are fetched where they are missing.

    Raises:
        SetupError: there is no web/, or Node or its packages cannot be had.
    """
    steps = [["exec", "--", "vite", "build"]]  # without the check of types: whoever packages changes nothing
    if not (WEB / "node_modules").is_dir():
        steps.insert(0, ["ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"])
    for step in steps if (WEB / "package.json").is_file() else ():
        command = [sys.executable, str(ROOT / "scripts" / "npm.py"), *step]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            break
    if not PAGE.is_file():
        raise SetupError(
            f"expected the built page at {PAGE}, received nothing there, and it cannot be built here; "
            "run `make wheel`, which builds the page and then the wheel, or `make web` before this command"
        )
