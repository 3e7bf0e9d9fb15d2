"""Optional dependencies: the packages of each extra, and the check that a feature makes before it imports them."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal

from stream_detect.errors import MissingExtraError

Extra = Literal["train", "postgres", "mqtt", "c2pa", "cluster"]

PACKAGES: Mapping[Extra, tuple[str, ...]] = {
    "train": ("tensorflow", "keras", "h5py", "sklearn", "matplotlib", "tensorboardX"),
    "postgres": ("psycopg",),
    "mqtt": ("paho",),
    "c2pa": ("c2pa",),
    "cluster": ("ray",),
}
"""Import names of the packages that our code imports; pyproject.toml gives the reason for each."""


def missing(extra: Extra) -> tuple[str, ...]:
    """Import names of the packages of an extra that are not installed. Nothing is imported."""
    return tuple(name for name in PACKAGES[extra] if find_spec(name) is None)


def require(extra: Extra, feature: str) -> None:
    """Checks that the packages of a feature are installed, before they are imported.

    Args:
        extra: the extra that installs them.
        feature: the command or setting that needs them.

    Raises:
        MissingExtraError: one is not installed; the message contains the command that installs it.
    """
    if absent := missing(extra):
        raise MissingExtraError(f'{feature} requires {", ".join(absent)}: pip install "stream-detect[{extra}]"')
