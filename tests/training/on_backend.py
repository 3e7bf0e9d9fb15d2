"""A tiny training and its bundle, run in a process with another backend of Keras (test_backends.py)."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import keras
import numpy as np

from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.models.card import Card, Output, Training
from stream_detect.training.architectures import Architecture, architecture_named
from stream_detect.training.convert import check_agreement, write_bundle
from stream_detect.training.efficientnet import DataFormat
from stream_detect.training.recipe import Recipe
from stream_detect.training.train import TrainingStep, predict, train

SIDE_PX = 64


def main(
    architecture: str, data_format: DataFormat, precision: Literal["float32", "mixed_bfloat16"], folder: Path
) -> None:
    """Trains six steps on squares and stripes, interrupted after the third, and makes a bundle of the best weights."""
    crops = np.full((16, SIDE_PX, SIDE_PX, 3), 90, np.uint8)
    crops[1::2, ::8] = 200
    rows = tuple(Row(f"{i}", ("real", "fake")[i % 2], "dfdc", f"g{i // 2}", "train") for i in range(16))
    faces = Faces(crops, rows, ())
    losses: list[float] = []
    recipe = Recipe(
        architecture, steps=6, batch=4, ema_from=1, validate_every=3, data_format=data_format, precision=precision
    )
    adamw = replace(recipe, optimizer="adamw", weight_decay=0.02, gradient_norm=5.0)

    def broken_off(at: TrainingStep) -> None:
        if at.step == 3:
            raise KeyboardInterrupt

    try:
        train(adamw, faces, faces, folder, broken_off)
    except KeyboardInterrupt:
        best = train(adamw, faces, faces, folder, lambda at: losses.append(at.loss))
    network = architecture_named(architecture)
    card = Card(
        name="tiny",
        title="A test's",
        version="1",
        architecture=architecture,
        input=network.input((SIDE_PX, SIDE_PX)),
        output=Output(means="fake"),
        training=Training(data="none", terms="none", recipe="none"),
        limits=("Knows nothing.",),
        sha256={},
    )
    trained = keras.saving.load_model(best, compile=False)
    bundle = write_bundle(trained, card, folder / "tiny")
    sys.stdout.write(
        f"{keras.backend.backend()} {len(losses)} {check_agreement(bundle)} {between_formats(network, data_format)}\n"
    )


def between_formats(network: Architecture, data_format: DataFormat) -> float:
    """Difference between the outputs of the two data formats on noise, relative to their variation."""
    one, other = (
        network.untrained((SIDE_PX, SIDE_PX), 0.0, form)
        for form in cast("list[DataFormat]", [data_format, "channels_last"])
    )
    if network.imagenet:  # an untrained network gives the same output for everything
        network.begin(one, "imagenet")
    other.set_weights(one.get_weights())
    shape = (8, SIDE_PX, SIDE_PX, 3)
    crops = (
        np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        // np.arange(1, 9, dtype=np.uint8)[:, None, None, None]
    )
    scores = predict(one, crops, network)
    return float(np.abs(scores - predict(other, crops, network)).max() / np.ptp(scores))


if __name__ == "__main__":
    main(sys.argv[1], cast("Any", sys.argv[2]), cast("Any", sys.argv[3]), Path(sys.argv[4]))
