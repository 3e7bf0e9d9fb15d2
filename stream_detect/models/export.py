"""Exports the network and card of a bundle to formats of other programs."""

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from stream_detect.errors import BundleError
from stream_detect.extras import require
from stream_detect.models.bundle import IR_FILE, IR_WEIGHTS_FILE, KERAS_FILE, Bundle


def export(bundle: Bundle, to: Path) -> tuple[Path, ...]:
    """Writes the network in the format given by the suffix and, next to it, the card, which says how to use it.

    Args:
        bundle: verified.
        to: path ending in `.xml` (OpenVINO, with a `.bin` next to it), `.tflite` (LiteRT) or `.keras`.

    Returns:
        The files written, the network's first.

    Raises:
        BundleError: the suffix is another one, or the file exists.
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
            raise BundleError(f"expected a new file, {file} exists; name another or remove it")
    to.parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[to.suffix](bundle, to)
    card.write_text(bundle.card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return files


def _openvino(bundle: Bundle, to: Path) -> None:
    shutil.copyfile(bundle.folder / IR_FILE, to)
    shutil.copyfile(bundle.folder / IR_WEIGHTS_FILE, to.with_suffix(".bin"))


def _keras(bundle: Bundle, to: Path) -> None:
    shutil.copyfile(bundle.folder / KERAS_FILE, to)


def _litert(bundle: Bundle, to: Path) -> None:
    require("train", "an export to LiteRT")
    # Imported by name, because serving must never load TensorFlow.
    import_module("stream_detect.training.convert").write_litert(bundle, to)


_WRITERS: dict[str, Callable[[Bundle, Path], None]] = {".tflite": _litert, ".xml": _openvino, ".keras": _keras}
