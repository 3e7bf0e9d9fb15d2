"""Converts a trained Keras model and its card to a bundle that both backends agree on.

It also imports published weights, as an .h5 file of one of the architectures.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import h5py
import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from stream_detect.errors import BundleError
from stream_detect.media.files import put_folder
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import CARD_FILE, FILES, IR_FILE, KERAS_FILE, Bundle, sha256_of, write_card
from stream_detect.models.card import BundleName, Card, Output, Training
from stream_detect.training.architectures import Architecture, architecture_named

MAX_DIFFERENCE = 1e-3
"""Largest allowed difference in fake_probability between the two backends; with f32 on both it is about 1e-6."""

_EXPORTING = """import sys, keras
network = keras.saving.load_model(sys.argv[1], compile=False)
network(keras.ops.zeros((1, *network.input_shape[1:])))
network.export(sys.argv[2], format=sys.argv[3], verbose=False)"""
"""Calls the network first, because Keras exports LiteRT only of one that was called."""

_PROBES = 4
_SEED = 20261122


def write_bundle(model: keras.Model, card: Card, to: Path, crops: NDArray[np.uint8] | None = None) -> Bundle:
    """Writes a bundle folder, replacing an existing bundle, which a failure leaves as it was.

    Args:
        model: model of the card's architecture.
        card: its card; the sha256 sums are added here.
        to: the folder, with the name on the card.
        crops: uint8 (n, h, w, 3), compared on both backends in addition to random ones.

    Raises:
        BundleError: no bundle can be written there, the model has another architecture, or the backends disagree.
    """
    check_place(to.parent, to.name)
    to.parent.mkdir(parents=True, exist_ok=True)
    plain = _without_training(model, card)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=".bundle-") as scratch:
        folder = Path(scratch) / card.name
        folder.mkdir()
        plain.save(folder / KERAS_FILE)
        _export(folder / KERAS_FILE, folder / IR_FILE, "openvino", plain)
        sums = {name: sha256_of(folder / name) for name in FILES}
        write_card(folder, card.model_copy(update={"sha256": sums}))
        check_agreement(Bundle.load(folder), crops)
        put_folder(folder, to)
    return Bundle.load(to)


def _export(file: Path, to: Path, form: Literal["openvino", "litert"], model: keras.Model | None = None) -> None:
    """Writes a network in another format. If Keras runs on JAX or PyTorch, TensorFlow does it in another process.

    Args:
        file: the network, a .keras file.
        to: file to write.
        form: OpenVINO reads no output of JAX, and JAX writes no LiteRT.
        model: the network, if it is loaded.
    """
    if keras.backend.backend() == "tensorflow":
        network = _load_whole(file) if model is None else model
        network(
            keras.ops.zeros((1, *network.input_shape[1:]))
        )  # Keras exports LiteRT only of a network that was called
        network.export(str(to), format=form, verbose=False)
        return
    child = subprocess.run(  # noqa: S603 - this interpreter, on files of our own
        [sys.executable, "-c", _EXPORTING, str(file), str(to), form],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        last = (child.stderr.strip() or "no reason given").splitlines()[-1]
        raise BundleError(
            f"TensorFlow failed to convert the network: {last}; the weights are kept: run the same "
            "command again once TensorFlow is installed"
        )


def check_place(folder: Path, name: str) -> None:
    """Checks that a bundle of that name can be made in `folder`; called before hours of training.

    Raises:
        BundleError: the name is invalid for a bundle, or something other than a bundle exists there.
    """
    try:
        TypeAdapter(BundleName).validate_python(name)
    except ValidationError as error:
        raise BundleError(f"expected lower-case letters, digits, '.', '_' or '-' as name, received {name!r}") from error
    to = folder / name
    if to.exists() and not (to / CARD_FILE).is_file() and (not to.is_dir() or any(to.iterdir())):
        raise BundleError(f"expected a new folder, or one with a {CARD_FILE}, at {to}; name another")


def check_agreement(bundle: Bundle, crops: NDArray[np.uint8] | None = None) -> float:
    """The largest difference in fake_probability between the two backends, both in f32, on random and given crops.

    Raises:
        BundleError: it is larger than MAX_DIFFERENCE.
    """
    given = bundle.card.input
    shape = (_PROBES, given.height_px, given.width_px, 3)
    probes = np.random.default_rng(_SEED).integers(0, 256, shape, np.uint8)
    if crops is not None:
        probes = np.concatenate((probes, crops))
    served = load_model(bundle, "openvino", precision="f32").classifier().predict(probes)
    reference = load_model(bundle, "tensorflow").classifier().predict(probes)
    difference = float(np.abs(served - reference).max())
    if difference > MAX_DIFFERENCE:
        raise BundleError(
            f"expected both backends of {bundle.card.name} to agree within {MAX_DIFFERENCE}, received a difference of "
            f"{difference:.2g}: the conversion to OpenVINO changed the network"
        )
    return difference


def import_weights(  # noqa: PLR0913 - what the command asks for
    file: Path, architecture: str, means: Literal["fake", "real"], name: str, to: Path, *, index: int | None = None
) -> Path:
    """Imports published weights as a bundle.

    Args:
        file: Keras weights (.h5), or a whole Keras model (.keras), of that architecture.
        architecture: key of `architectures.ARCHITECTURES`.
        means: meaning of an output of 1; for MesoNet "real".
        name: of the bundle.
        to: folder in which the bundle's folder is created.
        index: index of the output to use; None for the last.

    Returns:
        The bundle's folder.

    Raises:
        BundleError: the file is missing, has another form or architecture, or no such output; or the name is invalid.
    """
    check_place(to, name)
    known = architecture_named(architecture)
    if index is not None and index >= known.outputs:
        raise BundleError(f"expected an output of {known.name} below {known.outputs}, received {index}")
    model = _load_whole(file) if file.suffix == ".keras" else _load_published(known, file)
    card = Card(
        name=name,
        title=f"{known.name}, imported from {file.name}",
        version="1",
        architecture=known.name,
        input=known.input(known.wh),
        output=Output(means=means, index=known.fake_output if index is None else index),
        training=Training(
            data=f"unknown: imported from {file.name} (sha256 {sha256_of(file)})",
            terms="those of whoever published the weights",
            recipe=f"imported from {file.name}",
        ),
        limits=("Imported weights: nothing was measured here. Run `stream-detect evaluate` before you rely on them.",),
        sha256={},
    )
    return write_bundle(model, card, to / name).folder


def write_litert(bundle: Bundle, to: Path) -> None:
    """Writes the bundle's network as LiteRT (.tflite), in f32.

    Raises:
        BundleError: Keras cannot read the bundle's network.
    """
    _export(bundle.folder / KERAS_FILE, to, "litert")


def _load_whole(file: Path) -> keras.Model:
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BundleError(f"expected a Keras model at {file}, but it cannot be read: {error}") from error


def _load_published(known: Architecture, file: Path) -> keras.Model:
    """The architecture with the weights of an .h5 file, after comparing their shapes."""
    model = known.build(known.wh, known.dropout)
    try:
        with h5py.File(file, "r") as stored:
            received = _shapes(stored)
    except OSError as error:
        raise BundleError(f"expected Keras weights (.h5) at {file}, but it cannot be read: {error}") from error
    expected = sorted(tuple(int(n) for n in weight.shape) for weight in model.weights)
    if received != expected:
        raise BundleError(
            f"expected weights of {known.name}, {len(expected)} arrays with {_values(expected):,} values; received "
            f"{len(received)} arrays with {_values(received):,} values in {file}: name its own architecture"
        )
    try:
        model.load_weights(file)
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"expected the layers of {known.name} in their order in {file}, received others: {error}"
        ) from error
    return model


def _shapes(stored: h5py.Group) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for item in stored.values():
        found += [tuple(item.shape)] if isinstance(item, h5py.Dataset) else _shapes(item)
    return sorted(found)


def _values(shapes: list[tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes)


def _without_training(model: keras.Model, card: Card) -> keras.Model:
    """The same weights in a new model without optimizer, loss and earlier names."""
    known = architecture_named(card.architecture)
    plain = known.build((card.input.width_px, card.input.height_px), known.dropout)
    try:
        plain.set_weights(model.get_weights())
    except ValueError as error:
        raise BundleError(f"expected weights of {known.name}, received others: {error}") from error
    return plain
