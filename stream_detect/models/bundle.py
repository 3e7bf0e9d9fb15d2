"""A model bundle on disk: a folder with a card and the weights, each file checked by its sha256.

- `card.json`: the contract (`card.Card`);
- `model.keras`: the network and its weights, the source of truth;
- `model.xml` and `model.bin`: the same network as OpenVINO IR, for serving;
- `model-int8.xml` and `model-int8.bin`: the network in INT8, if its card allows it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from stream_detect.errors import BundleError, BundleTamperedError
from stream_detect.models.card import Card

CARD_FILE = "card.json"
KERAS_FILE = "model.keras"
IR_FILE = "model.xml"
IR_WEIGHTS_FILE = "model.bin"
INT8_FILE = "model-int8.xml"
INT8_WEIGHTS_FILE = "model-int8.bin"
FILES = (KERAS_FILE, IR_FILE, IR_WEIGHTS_FILE)
"""Files that every bundle has."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files have the sha256 that its card states.

    Args:
        folder: the bundle's folder.
        card: its contract.
    """

    folder: Path
    card: Card

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Reads the card and checks every file against it.

        Raises:
            BundleError: there is no card, the card is invalid, or a file is missing.
            BundleTamperedError: a file differs from the one that the card was written for.
        """
        card = read_card(folder)
        for name in (*FILES, *((INT8_FILE, INT8_WEIGHTS_FILE) if card.int8 else ())):
            if name not in card.sha256:
                raise BundleError(f"expected the sha256 of {name} in {folder / CARD_FILE}, received none")
        for name, expected in card.sha256.items():
            file = folder / name
            if Path(name).name != name or not file.is_file():
                raise BundleError(f"expected {file}, which {folder / CARD_FILE} lists; restore the bundle")
            received = sha256_of(file)
            if received != expected:
                raise BundleTamperedError(
                    f"expected sha256 {expected[:12]}... of {file}, received {received[:12]}...: the file is damaged "
                    "or was changed; restore the bundle from where it came"
                )
        return cls(folder, card)

    @property
    def sha256(self) -> str:
        """Sha256 of the weights that are served, in hexadecimal: identifies the model in results."""
        return self.card.sha256[IR_WEIGHTS_FILE]


def read_card(folder: Path) -> Card:
    """Reads only the card; the other files are not checked.

    Raises:
        BundleError: it is missing, not JSON, or not a card.
    """
    file = folder / CARD_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BundleError(f"expected a model bundle's card at {file}, cannot read it: {error.strerror}") from error
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise BundleError(f"{file} is no card of a model bundle: {where}: {first['msg']}{more}") from error


def write_card(folder: Path, card: Card) -> None:
    """Writes `card.json`, formatted for people."""
    text = json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")


def sha256_of(file: Path) -> str:
    """Sha256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
