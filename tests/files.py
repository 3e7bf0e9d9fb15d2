"""Files of a folder that a server is deleting from at the same time."""

import os
from pathlib import Path


def files_in(folder: Path) -> list[Path]:
    """All files below a folder; what is deleted meanwhile is passed over, whereas `Path.rglob` raises (Python 3.11)."""
    return [Path(inside, name) for inside, _, names in os.walk(folder) for name in names]
