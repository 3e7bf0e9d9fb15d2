"""Optional dependencies: the packages of each extra, and the check that a feature makes before it imports them."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal

from stream_detect.errors import MissingExtraError, SettingsError

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


_KERAS_BACKENDS = {"tensorflow": '"stream-detect[train]"', "torch": "torch==2.13.0", "jax": "jax"}
"""What pip installs for each of Keras' backends."""


def require_keras(feature: str) -> None:
    """Checks that Keras and the backend named by KERAS_BACKEND are installed; Keras would raise a traceback.

    Args:
        feature: the command or setting that needs them.

    Raises:
        MissingExtraError: a package is not installed; the message contains the command that installs it.
        SettingsError: KERAS_BACKEND names no backend.
    """
    require("train", feature)
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in _KERAS_BACKENDS:
        raise SettingsError(f"expected KERAS_BACKEND to be {', '.join(_KERAS_BACKENDS)}, received {backend!r}")
    if find_spec(backend) is None:
        raise MissingExtraError(
            f"expected {backend} for KERAS_BACKEND={backend}, it is not installed: pip install "
            f"{_KERAS_BACKENDS[backend]}, or name another backend by KERAS_BACKEND"
        )
