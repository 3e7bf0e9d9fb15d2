"""A training and its bundle, on the Keras backend that the environment names: see test_jax."""

import sys
from pathlib import Path

import keras
import numpy as np

from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.models.card import Card, NetworkInput, Output, Training
from stream_detect.training.convert import check_agreement, write_bundle
from stream_detect.training.recipe import Recipe
from stream_detect.training.train import train


def main(architecture: str, folder: Path) -> None:
    """Trains six steps on squares and stripes, and makes a bundle of the best weights."""
    crops = np.full((16, 64, 64, 3), 90, np.uint8)
    crops[1::2, ::8] = 200
    rows = tuple(Row(f"{i}", ("real", "fake")[i % 2], "dfdc", f"g{i // 2}", "train") for i in range(16))
    faces = Faces(crops, rows, ())
    losses: list[float] = []
    recipe = Recipe(architecture, steps=6, batch=4, ema_from=1, validate_every=3)
    best = train(recipe, faces, faces, folder, lambda at: losses.append(at.loss))
    card = Card(
        name="tiny",
        title="A test's",
        version="1",
        architecture=architecture,
        input=NetworkInput(width_px=64, height_px=64),
        output=Output(means="fake"),
        training=Training(data="none", terms="none", recipe="none"),
        limits=("Knows nothing.",),
        sha256={},
    )
    bundle = write_bundle(keras.saving.load_model(best, compile=False), card, folder / "tiny")
    sys.stdout.write(f"{keras.backend.backend()} {len(losses)} {check_agreement(bundle)}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
