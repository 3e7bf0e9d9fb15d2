"""Fakes to calibrate on where a collection has none: its real faces enter, each leaves beside the fake made of it."""

from typing import TYPE_CHECKING

import numpy as np

from stream_detect.analysis.mesh import FaceMesh
from stream_detect.errors import DatasetError
from stream_detect.training.blending import self_blended
from stream_detect.training.dataset import Faces, Row
from stream_detect.training.degrade import degrade, draw, sometimes_sent
from stream_detect.training.recipe import Recipe

if TYPE_CHECKING:
    from stream_detect.types import Image

_SEED = 20261122


def with_made_fakes(faces: Faces, recipe: Recipe) -> Faces:
    """The recipe's real faces, each followed by a self-blended fake; both degraded alike, as in training.

    Args:
        faces: of the validation split.
        recipe: names the collections, and the share that is sent through a codec.

    Raises:
        DatasetError: the face mesh finds none of them.
    """
    rng = np.random.default_rng(_SEED)
    mesh = FaceMesh()
    pictures: list[Image] = []
    rows: list[Row] = []
    for index, row in enumerate(faces.rows):
        if row.label != "real" or not recipe.learns_from(row.source):
            continue
        crop = np.ascontiguousarray(faces.crops[index])
        points = mesh.points(crop)
        if points is None:
            continue
        how = sometimes_sent(draw(rng), recipe.sent, rng)
        pictures += [degrade(picture, how, rng) for picture in self_blended(crop, points, rng)]
        rows += [Row(row.file, label, row.source, row.group, row.split) for label in ("real", "fake")]
    if not pictures:
        raise DatasetError("expected real faces to make validation fakes of, the face mesh found none")
    return Faces(np.stack(pictures), tuple(rows), ())
