"""The registry: finds model bundles by name in one or more folders; the first folder that has the name wins."""

from collections.abc import Sequence
from pathlib import Path

from stream_detect.errors import BundleError
from stream_detect.models.bundle import CARD_FILE, IR_WEIGHTS_FILE, Bundle, read_card

SHIPPED = Path(__file__).parent / "shipped"
"""The bundles that come with the package."""


class Registry:
    """Finds bundles.

    Args:
        folders: each contains bundles as subfolders, or is a bundle itself; searched in this order.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)

    @classmethod
    def of(cls, folder: Path | None) -> "Registry":
        """The user's folder, if any, then the shipped bundles.

        Raises:
            BundleError: the folder does not exist.
        """
        if folder is not None and not folder.is_dir():
            raise BundleError(
                f"expected a folder of model bundles at {folder}, but there is none; correct model.folder"
            )
        return cls([SHIPPED] if folder is None else [folder, SHIPPED])

    def names(self) -> tuple[str, ...]:
        """Names of all bundles, sorted; a bundle's name is its folder's."""
        return tuple(sorted(self._found()))

    def load(self, name: str) -> Bundle:
        """Loads and verifies the bundle of that name.

        Raises:
            BundleError: there is none, or it is damaged.
        """
        found = self._found()
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise BundleError(f"expected the name of a model bundle, received {name!r}; known: {known}")
        bundle = Bundle.load(found[name])
        if bundle.card.name != name:
            raise BundleError(f"expected the card in {found[name]} to be named {name!r}, received {bundle.card.name!r}")
        return bundle

    def folder_of(self, name: str) -> Path:
        """The folder of the bundle of that name, unverified.

        Raises:
            BundleError: there is none.
        """
        found = self._found()
        if name not in found:
            raise BundleError(f"expected one of {', '.join(sorted(found)) or 'no bundle'}, received {name!r}")
        return found[name]

    def sha256_of(self, name: str) -> str:
        """Sha256 of the served weights of the bundle of that name, as its card says, unverified.

        Raises:
            BundleError: there is none, or its card states none.
        """
        card = read_card(self.folder_of(name))
        if IR_WEIGHTS_FILE not in card.sha256:
            raise BundleError(f"expected the sha256 of {IR_WEIGHTS_FILE} in the card of {name}, received none")
        return card.sha256[IR_WEIGHTS_FILE]

    def contract_of(self, name: str) -> str:
        """`Card.contract_sha256` of the bundle of that name, unverified.

        Raises:
            BundleError: there is none.
        """
        return read_card(self.folder_of(name)).contract_sha256

    def _found(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._folders:
            try:
                inside = sorted(folder.iterdir() if folder.is_dir() else ())
            except OSError as error:
                raise BundleError(
                    f"expected a readable folder of model bundles at {folder}, received {error.strerror}; correct "
                    "model.folder"
                ) from error
            for candidate in (folder, *inside):
                if _has_card(candidate):
                    found.setdefault(candidate.name, candidate)
        return found


def _has_card(folder: Path) -> bool:
    """Whether a bundle may be there; not in a folder that only others may read, such as lost+found."""
    try:
        return (folder / CARD_FILE).is_file()
    except OSError:
        return False
