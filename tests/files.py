"""Lists files in a folder from which a server may be deleting at the same time."""

import os
from pathlib import Path


def files_in(folder: Path) -> list[Path]:
    """All files below a folder, ignoring files deleted in the meantime, for which `Path.rglob` raises (Python 3.11)."""
    return [Path(inside, name) for inside, _, names in os.walk(folder) for name in names]
