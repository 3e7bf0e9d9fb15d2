"""The build step of setuptools for wheels (see pyproject.toml), which refuses to build one without the page."""

import shutil
from pathlib import Path

from setuptools.command.build_py import build_py
from setuptools.errors import SetupError

PAGE = Path(__file__).parents[1] / "stream_detect" / "page" / "index.html"


class BuildPy(build_py):
    """Collects modules and data of the package once the page is there."""

    def run(self) -> None:
        """Collect them.

        Raises:
            SetupError: the page has not been built. An editable installation does without it: `make run` builds it.
        """
        if not self.editable_mode:
            if not PAGE.is_file():
                raise SetupError(
                    f"expected the built page at {PAGE}, received nothing there; run `make wheel`, which "
                    "builds the page and then the wheel, or `make web` before this command"
                )
            # What an earlier build left would go into the wheel as well: modules that were moved since.
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
