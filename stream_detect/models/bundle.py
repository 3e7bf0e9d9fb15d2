"""A model bundle on disk: a folder with a card and the weights, each file checked by its sha256.

- `card.json`: the contract (`card.Card`);
- `model.keras`: the network and its weights, the source of truth;
- `model.xml` and `model.bin`: the same network as OpenVINO IR, for serving;
- `model-int8.xml` and `model-int8.bin`: the network in INT8, if its card allows it.

`export` writes the network and the card to formats of other programs.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from pydantic import ValidationError

from stream_detect.errors import BundleError, BundleTamperedError
from stream_detect.extras import require_keras
from stream_detect.media.files import put_whole
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
            BundleError: there is no card, the card is invalid, or a file is missing or cannot be read.
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
            try:
                received = sha256_of(file)
            except OSError as error:
                raise BundleError(f"expected to read {file}, received {error.strerror}") from error
            if received != expected:
                raise BundleTamperedError(
                    f"expected sha256 {expected[:12]}... of {file}, received {received[:12]}...: the file was damaged "
                    "or changed; restore the bundle from its source"
                )
        return cls(folder, card)

    @property
    def sha256(self) -> str:
        """Sha256 of the weights that are served, in hexadecimal: names the model in results.

        `Card.contract_sha256` also says how they are used.
        """
        return self.card.sha256[IR_WEIGHTS_FILE]


def read_card(folder: Path) -> Card:
    """Reads only the card; the other files are not checked.

    Raises:
        BundleError: it is missing, not JSON, or not a card.
    """
    file = folder / CARD_FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BundleError(f"expected a model bundle's card at {file}, but it cannot be read: {reason}") from error
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise BundleError(f"{file} is not a valid card of a model bundle: {where}: {first['msg']}{more}") from error


def write_card(folder: Path, card: Card) -> None:
    """Writes `card.json` atomically, because a server may read it at any time; formatted for people.

    Raises:
        StorageError: it cannot be written.
    """
    text = json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    def put(part: Path) -> None:
        part.write_text(text, encoding="utf-8")

    put_whole(folder / CARD_FILE, put, private=False)


def sha256_of(file: Path) -> str:
    """Sha256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def export(bundle: Bundle, to: Path) -> tuple[Path, ...]:
    """Writes the network in the format given by the suffix and, next to it, the card, which says how to use it.

    Args:
        bundle: verified.
        to: path ending in `.xml` (OpenVINO, with a `.bin` next to it), `.tflite` (LiteRT) or `.keras`.

    Returns:
        The files written, the network's first.

    Raises:
        BundleError: the suffix is another one, or the file exists. After any failure none of the files is left.
    """
    if to.suffix not in _WRITERS:
        raise BundleError(
            f"expected a file that ends in {', '.join(_WRITERS)}, received {to.name!r}; ONNX needs packages that this "
            "project does without: convert the .tflite or the .keras file with tf2onnx"
        )
    card = to.with_name(f"{to.stem}.card.json")
    files = (to, *((to.with_suffix(".bin"),) if to.suffix == ".xml" else ()), card)
    for file in files:
        if file.exists():
            raise BundleError(f"expected a new file, but {file} exists; name another or remove it")
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        _WRITERS[to.suffix](bundle, to)
        card.write_text(bundle.card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except BaseException:  # also an interrupt: the same command must work again
        for file in files:
            file.unlink(missing_ok=True)
        raise
    return files


def _openvino(bundle: Bundle, to: Path) -> None:
    shutil.copyfile(bundle.folder / IR_FILE, to)
    shutil.copyfile(bundle.folder / IR_WEIGHTS_FILE, to.with_suffix(".bin"))


def _keras(bundle: Bundle, to: Path) -> None:
    shutil.copyfile(bundle.folder / KERAS_FILE, to)


def _litert(bundle: Bundle, to: Path) -> None:
    require_keras("an export to LiteRT")
    # By name: serving must never load TensorFlow.
    import_module("stream_detect.training.convert").write_litert(bundle, to)


_WRITERS: dict[str, Callable[[Bundle, Path], None]] = {".tflite": _litert, ".xml": _openvino, ".keras": _keras}
