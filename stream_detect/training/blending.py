"""Self-blended fakes: one real face and its mesh enter, a real and a fake face leave that differ in the blending only.

After Shiohara & Yamasaki 2022 (arXiv:2204.08376): a face is pasted onto itself, its copy a little off in colour,
sharpness, size and place, through a softened mask. What is left to see is what every face swap leaves: an edge, and
two qualities in one face. So a network learns no single generator's marks.

Whatever is done to the picture as a whole is done before the two part, and the mismatch is given to the copy or to the
picture under it, at random: that the real face looks processed, or the fake one, must tell nothing.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.mesh import FaceMesh
from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.evaluation.degradation import degrade, draw, sometimes_sent
from stream_detect.training.recipe import Recipe
from stream_detect.types import Image

Mask = NDArray[np.float32]
"""Share of the copy in the blend, (h, w) in [0, 1]."""

_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""Greatest share of the copy, as in the paper."""


def self_blended(face: Image, mesh: NDArray[np.float32], rng: np.random.Generator) -> tuple[Image, Image]:
    """A real face, and the fake made of it.

    Args:
        face: RGB uint8 (h, w, 3).
        mesh: float32 (n, 2), points of the face in its pixels.
        rng: draws everything.

    Returns:
        Real and fake, each RGB uint8 (h, w, 3).
    """
    changed = mismatched(face, rng)
    under, copy = (face, changed) if rng.random() < 0.5 else (changed, face)
    mask = blending_mask(mesh, face.shape[:2], rng)
    copy, mask = _displaced(copy, mask, rng)
    share = mask[..., np.newaxis]
    fake = under * (1 - share) + copy * share
    return under, np.clip(fake + 0.5, 0, 255).astype(np.uint8)


def mismatched(face: Image, rng: np.random.Generator) -> Image:
    """The face with other colours, and blurred, sharpened or rescaled at times."""
    h, w = face.shape[:2]
    changed = face.astype(np.float32)
    if rng.random() < 0.7:
        changed += rng.uniform(-20, 20, 3).astype(np.float32)
    if rng.random() < 0.5:
        grey = changed.mean(axis=2, keepdims=True)
        changed = grey + (changed - grey) * np.float32(rng.uniform(0.7, 1.3))
    if rng.random() < 0.5:
        changed = (changed - 128) * np.float32(rng.uniform(0.85, 1.15)) + np.float32(128 + rng.uniform(-20, 20))
    way = rng.random()
    if way < 0.35:
        small = tuple(max(int(side / rng.uniform(1.3, 4)), 24) for side in (w, h))
        ways = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
        shrunk = cv2.resize(changed, small, interpolation=ways[int(rng.integers(3))])
        changed = np.asarray(cv2.resize(shrunk, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    elif way < 0.7:
        soft = cv2.GaussianBlur(changed, (0, 0), float(rng.uniform(0.7, 1.5)))
        changed += (changed - soft) * np.float32(rng.uniform(0.3, 1.2))
    return np.asarray(np.clip(changed + 0.5, 0, 255), np.uint8)


def blending_mask(mesh: NDArray[np.float32], hw: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """The hull of the mesh or of a part of it, deformed, softened, and weakened at times.

    Args:
        mesh: float32 (n, 2), in pixels.
        hw: height and width of the mask.
        rng: draws the part, the deformation, the softness and the strength.
    """
    size = float(np.ptp(mesh, axis=0).max())
    hull = cv2.convexHull(_part(mesh, rng).astype(np.float32))
    mask = np.zeros(hw, np.float32)
    cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), 1.0)
    mask = _deformed(mask, size, rng)
    # Softened twice, as in the paper: what the first did not leave whole is cut away, so that edges move both ways.
    first = cv2.GaussianBlur(mask, (0, 0), size * float(rng.uniform(0.005, 0.05)))
    mask = np.where(first > 0.99, first, 0).astype(np.float32) if rng.random() < 0.5 else np.asarray(first, np.float32)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), size * float(rng.uniform(0.005, 0.05))), np.float32)
    greatest = max(float(mask.max()), 1e-3)
    return mask * np.float32(_RATIOS[int(rng.integers(len(_RATIOS)))] / greatest)


def _part(mesh: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The whole mesh, or a band across the face at least half as high: swaps leave out the forehead, lips the rest."""
    if rng.random() < 0.5:
        return mesh
    top, bottom = float(mesh[:, 1].min()), float(mesh[:, 1].max())
    height = float(rng.uniform(0.5, 0.9)) * (bottom - top)
    begin = float(rng.uniform(top, bottom - height))
    return mesh[(mesh[:, 1] >= begin) & (mesh[:, 1] <= begin + height)]


def _deformed(mask: Mask, size: float, rng: np.random.Generator) -> Mask:
    """The mask with a smooth random field of shifts, up to some hundredths of the face."""
    h, w = mask.shape
    coarse = rng.uniform(-1, 1, (2, 5, 5)).astype(np.float32) * np.float32(size * rng.uniform(0.01, 0.08))
    shift = [cv2.resize(field, (w, h), interpolation=cv2.INTER_CUBIC) for field in coarse]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    moved = cv2.remap(mask, x + shift[0], y + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _displaced(copy: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Copy and mask alike up to 5 % larger or smaller in width and height, and shifted by up to 3 %."""
    h, w = mask.shape
    sx, sy = rng.uniform(0.95, 1.05, 2)
    dx, dy = rng.uniform(-0.03, 0.03, 2)
    matrix = np.array(((sx, 0, (1 - sx + 2 * dx) * w / 2), (0, sy, (1 - sy + 2 * dy) * h / 2)), np.float64)
    moved = cv2.warpAffine(copy, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    share = cv2.warpAffine(mask, matrix, (w, h), flags=cv2.INTER_LINEAR)
    return np.asarray(moved, np.uint8), np.asarray(share, np.float32)


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
