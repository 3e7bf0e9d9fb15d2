"""Fakes made by blending: a real face with a copy of itself, or with another person's face, pasted onto it.

The first kind follows Shiohara & Yamasaki 2022 (arXiv:2204.08376): a face is pasted onto itself, its copy slightly
altered in colour, sharpness, size and position, through a softened mask. The visible traces are those of every face
swap: an edge, and two qualities in one face. So a network does not learn the marks of a single generator.

Changes of the whole picture are made before the copy, and the mismatch is applied to the copy or to the picture under
it at random, so that neither class looks more processed than the other.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.types import Image

Mask = NDArray[np.float32]
"""Share of the copy in the blend, (h, w) in [0, 1]."""

Mesh = NDArray[np.float32]
"""Points of a face, (n, 2), in pixels of its crop."""

_LEAST_PASTED_PX = 200
_MISMATCHED_SHARE = 0.4
"""Share of swaps with slightly different colours or sharpness."""
_STRENGTHS = (0.75, 1.0, 1.0, 1.0)
"""Opacity of the pasted face: swaps are seldom transparent."""
_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""Opacity of the copy, as in the paper."""


def self_blended(face: Image, mesh: Mesh, rng: np.random.Generator) -> tuple[Image, Image]:
    """Makes a fake by blending a face into itself.

    Args:
        face: RGB uint8 (h, w, 3).
        mesh: float32 (n, 2), points of the face in pixels of the crop.
        rng: random number generator.

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


def other_blended(face: Image, mesh: Mesh, donor: Image, donor_mesh: Mesh, rng: np.random.Generator) -> Image | None:
    """Makes a fake by blending another person's face, aligned and matched in colour, like a swap.

    Args:
        face: RGB uint8 (h, w, 3), the target.
        mesh: its points, float32 (n, 2), in its pixels.
        donor: RGB uint8 (h, w, 3), the pasted face.
        donor_mesh: the corresponding points of the donor.
        rng: random number generator.

    Returns:
        RGB uint8 (h, w, 3); None if the faces cannot be aligned, or the pasted part would be too small to be visible.
    """
    h, w = face.shape[:2]
    aligning, _ = cv2.estimateAffine2D(donor_mesh, mesh, method=cv2.LMEDS)
    if aligning is None:
        return None
    pasted = cv2.warpAffine(donor, aligning, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    mask = blending_mask(mesh, (h, w), rng)
    seen = mask > 0.5 * mask.max()
    if seen.sum() < _LEAST_PASTED_PX:
        return None
    pasted = _coloured_alike(np.asarray(pasted, np.uint8), face, seen, rng)
    if rng.random() < _MISMATCHED_SHARE:
        pasted = mismatched(pasted, rng)
    strength = np.float32(_STRENGTHS[int(rng.integers(len(_STRENGTHS)))])
    share = (mask / max(float(mask.max()), 1e-3))[..., np.newaxis] * strength
    return np.clip(face * (1 - share) + pasted * share + 0.5, 0, 255).astype(np.uint8)


def _coloured_alike(pasted: Image, face: Image, seen: NDArray[np.bool_], rng: np.random.Generator) -> Image:
    """The pasted face with most of the target's mean and deviation in LAB (colour transfer of Reinhard et al. 2001)."""
    ours = cv2.cvtColor(pasted, cv2.COLOR_RGB2LAB).astype(np.float32)
    wanted = cv2.cvtColor(face, cv2.COLOR_RGB2LAB).astype(np.float32)
    mean, deviation = ours[seen].mean(axis=0), ours[seen].std(axis=0) + 1
    wanted_mean, wanted_deviation = wanted[seen].mean(axis=0), wanted[seen].std(axis=0) + 1
    gain = 1 + (wanted_deviation / deviation - 1) * np.float32(rng.uniform(0.5, 1))
    changed = (ours - mean) * gain + mean + (wanted_mean - mean) * np.float32(rng.uniform(0.7, 1))
    return np.asarray(cv2.cvtColor(np.clip(changed, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)


def mismatched(face: Image, rng: np.random.Generator) -> Image:
    """The face with other colours, and sometimes blurred, sharpened or rescaled."""
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
        interpolations = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
        shrunk = cv2.resize(changed, small, interpolation=interpolations[int(rng.integers(3))])
        changed = np.asarray(cv2.resize(shrunk, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    elif way < 0.7:
        soft = cv2.GaussianBlur(changed, (0, 0), float(rng.uniform(0.7, 1.5)))
        changed += (changed - soft) * np.float32(rng.uniform(0.3, 1.2))
    return np.asarray(np.clip(changed + 0.5, 0, 255), np.uint8)


def blending_mask(mesh: Mesh, hw: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """The hull of the mesh or of a part of it, deformed, softened, and sometimes weakened.

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
    # Softened twice, as in the paper: after the first pass, partial values are removed, so that edges move both ways.
    first = cv2.GaussianBlur(mask, (0, 0), size * float(rng.uniform(0.005, 0.05)))
    mask = np.where(first > 0.99, first, 0).astype(np.float32) if rng.random() < 0.5 else np.asarray(first, np.float32)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), size * float(rng.uniform(0.005, 0.05))), np.float32)
    greatest = max(float(mask.max()), 1e-3)
    return mask * np.float32(_RATIOS[int(rng.integers(len(_RATIOS)))] / greatest)


def _part(mesh: Mesh, rng: np.random.Generator) -> NDArray[np.float32]:
    """The whole mesh, or a band at least half as high as it: swaps often omit the forehead, lip-sync the rest."""
    if rng.random() < 0.5:
        return mesh
    top, bottom = float(mesh[:, 1].min()), float(mesh[:, 1].max())
    height = float(rng.uniform(0.5, 0.9)) * (bottom - top)
    begin = float(rng.uniform(top, bottom - height))
    return mesh[(mesh[:, 1] >= begin) & (mesh[:, 1] <= begin + height)]


def _deformed(mask: Mask, size: float, rng: np.random.Generator) -> Mask:
    """The mask displaced by a smooth random field, up to some hundredths of the face."""
    h, w = mask.shape
    coarse = rng.uniform(-1, 1, (2, 5, 5)).astype(np.float32) * np.float32(size * rng.uniform(0.01, 0.08))
    shift = [cv2.resize(field, (w, h), interpolation=cv2.INTER_CUBIC) for field in coarse]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    moved = cv2.remap(mask, x + shift[0], y + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def _displaced(copy: Image, mask: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    """Copy and mask, scaled alike by up to 5 % in width and height and shifted by up to 3 %."""
    h, w = mask.shape
    sx, sy = rng.uniform(0.95, 1.05, 2)
    dx, dy = rng.uniform(-0.03, 0.03, 2)
    matrix = np.array(((sx, 0, (1 - sx + 2 * dx) * w / 2), (0, sy, (1 - sy + 2 * dy) * h / 2)), np.float64)
    moved = cv2.warpAffine(copy, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    share = cv2.warpAffine(mask, matrix, (w, h), flags=cv2.INTER_LINEAR)
    return np.asarray(moved, np.uint8), np.asarray(share, np.float32)
