"""Blended fakes differ from their real face only within the face; batches blend the given share of pairs."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.analysis.crop import cut
from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.mesh import FaceMesh
from stream_detect.errors import DatasetError, TrainingError
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.evaluation.degradation import Degradation
from stream_detect.training import batches as batches_module
from stream_detect.training import blended_pairs
from stream_detect.training.batches import Batches
from stream_detect.training.blended_pairs import BlendedPairs, with_made_fakes
from stream_detect.training.blending import blending_mask, mismatched, other_blended, self_blended
from stream_detect.training.recipe import Recipe
from stream_detect.types import CropPolicy


@pytest.fixture(scope="module")
def mesh_of():
    return FaceMesh().points


@pytest.fixture(scope="module")
def face():
    """A face crop as used in training, RGB uint8 (224, 224, 3)."""
    return cut(astronaut(), BlazeFace("full", 0.6, 1).detect(astronaut())[0], CropPolicy((224, 224)))


@pytest.fixture
def points(face, mesh_of):
    return mesh_of(face)


def test_the_fake_differs_in_the_face_and_nowhere_else(face, points):
    rng = np.random.default_rng(1)
    left, top = points.min(axis=0).astype(int) - 34  # deformed, softened and shifted: some hundredths farther
    changed = []
    for _ in range(20):
        real, fake = self_blended(face, points, rng)
        assert real.shape == fake.shape == face.shape
        assert real.dtype == fake.dtype == np.uint8
        difference = np.abs(real.astype(int) - fake).max(axis=2)
        outside = np.concatenate([difference[: max(top, 0)].ravel(), difference[:, : max(left, 0)].ravel()])
        assert outside.size == 0 or outside.max() <= 1
        changed.append(difference[80:140, 80:140].mean())
    assert np.median(changed) > 3


def test_the_real_face_is_changed_as_often_as_the_copy(face, points):
    rng = np.random.default_rng(2)
    kept = [np.array_equal(self_blended(face, points, rng)[0], face) for _ in range(100)]
    assert 0.35 < np.mean(kept) < 0.7


def test_the_same_seed_makes_the_same(face, points):
    one, other, third = (self_blended(face, points, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, third)


def test_masks_are_soft_lie_on_the_face_and_vary(points):
    rng = np.random.default_rng(3)
    masks = [blending_mask(points, (224, 224), rng) for _ in range(60)]
    assert all(mask.dtype == np.float32 and mask.min() >= 0 and mask.max() <= 1.0001 for mask in masks)
    assert {round(float(mask.max()), 2) for mask in masks} == {0.25, 0.5, 0.75, 1.0}
    assert all(((mask > 0.02) & (mask < mask.max() - 0.02)).mean() > 0.01 for mask in masks)  # a soft edge
    areas = [float((mask > mask.max() / 2).mean()) for mask in masks]
    hull = float(np.ptp(points[:, 0]) * np.ptp(points[:, 1])) / 224**2
    assert max(areas) < 1.2 * hull
    assert np.std(areas) > 0.05
    middle = points.mean(axis=0).astype(int)
    assert np.mean([mask[middle[1], middle[0]] > mask.max() / 2 for mask in masks]) > 0.6


def test_a_mismatch_is_seldom_none(face):
    rng = np.random.default_rng(4)
    off = [np.abs(mismatched(face, rng).astype(int) - face).mean() for _ in range(60)]
    assert np.mean([each > 1 for each in off]) > 0.8
    assert max(off) < 60


@pytest.fixture
def real_faces(face, monkeypatch):
    """Eight real faces, four from each of two sources, without augmentation."""
    monkeypatch.setattr(batches_module, "draw", lambda _: Degradation())
    monkeypatch.setattr(batches_module, "move", lambda image, _: image)
    crops = np.stack([np.clip(face * (0.8 + 0.02 * i), 0, 255).astype(np.uint8) for i in range(8)])
    rows = [Row(f"{i}.jpg", "real", "fairface" if i % 2 else "dfdc", f"g{i}", "train") for i in range(8)]
    return Faces(crops, tuple(rows), ())


def test_real_faces_alone_are_enough_when_all_fakes_are_made(real_faces):
    recipe = Recipe(steps=1, batch=8, blended=1.0)
    pictures, labels = Batches(real_faces, recipe).batch(1)
    assert labels.tolist() == [1, 0] * 4
    again, _ = Batches(real_faces, recipe).batch(1)
    assert np.array_equal(pictures, again)
    for fake, real in zip(pictures[::2], pictures[1::2], strict=True):
        assert 0 < np.abs(fake.astype(int) - real).mean() < 38
    with pytest.raises(DatasetError, match="expected fake faces"):
        Batches(real_faces, Recipe(steps=1, batch=8, blended=0.5))


def test_only_the_named_sources_are_learnt_from(real_faces, monkeypatch):
    monkeypatch.setattr(blended_pairs, "self_blended", lambda crop, *_: (crop, crop))
    batches = Batches(real_faces, Recipe(steps=9, batch=8, blended=1.0, sources=("fairface",)))
    allowed = {int(crop.sum()) for crop in real_faces.crops[1::2]}
    for step in range(1, 10):
        pictures, _ = batches.batch(step)
        assert {int(picture.sum()) for picture in pictures} <= allowed
    with pytest.raises(DatasetError, match="none of nowhere"):
        Batches(real_faces, Recipe(steps=1, batch=8, blended=1.0, sources=("nowhere",)))


def test_a_share_of_the_pairs_is_made(marked_faces, monkeypatch):
    made = []
    monkeypatch.setattr(blended_pairs, "self_blended", lambda crop, *_: made.append(1) or (crop, crop))
    batches = Batches(marked_faces, Recipe(steps=9, batch=16, blended=0.3))
    for step in range(1, 10):
        batches.batch(step)
    assert 0.15 < len(made) / 72 < 0.45


def test_crops_that_show_no_face_are_passed_over_and_named_when_there_are_no_others(real_faces):
    blank = np.zeros_like(real_faces.crops)
    blank[0] = real_faces.crops[0]
    recipe = Recipe(steps=1, batch=2, blended=1.0)
    assert Batches(Faces(blank, real_faces.rows, ()), recipe).batch(3)[0].max() > 76
    with pytest.raises(DatasetError, match="face mesh"):
        Batches(Faces(np.zeros_like(blank), real_faces.rows, ()), recipe).batch(1)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(TrainingError, match=r"blended in \[0, 1\], received -0\.1"):
        Recipe(blended=-0.1)


def test_another_s_face_is_pasted_within_the_face_and_in_its_colours(face, points):
    rng = np.random.default_rng(1)
    donor = np.ascontiguousarray(face[:, ::-1])
    tinted = np.clip(donor * (0.5, 0.8, 1.0), 0, 255).astype(np.uint8)
    donor_points = points * (-1, 1) + (face.shape[1] - 1, 0)
    hull = np.zeros(face.shape[:2], np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points.round().astype(np.int32)), 1)
    inside = hull > 0
    for _ in range(8):
        fake = other_blended(face, points, tinted, donor_points.astype(np.float32), rng)
        difference = np.abs(fake.astype(int) - face).mean(axis=2)
        assert difference[inside].mean() > 4 * difference[~inside].mean()
        hue = [image[inside].mean(axis=0) / image[inside].mean() for image in (face, fake, tinted)]
        assert np.abs(hue[1] - hue[0]).max() < np.abs(hue[2] - hue[0]).max()


def test_points_that_cannot_be_aligned_give_no_fake(face, points):
    rng = np.random.default_rng(1)
    assert other_blended(face, points, face, np.zeros_like(points), rng) is None


def test_the_likest_pose_of_another_group_is_taken(real_faces, monkeypatch):
    turned = np.stack([face[:, ::-1] if i % 4 == 1 else face for i, face in enumerate(real_faces.crops)])
    pairs = BlendedPairs(Faces(turned, real_faces.rows, ()), Recipe(blended=1.0, blended_with_other=1.0))
    pasted = []
    monkeypatch.setattr(
        blended_pairs, "other_blended", lambda face, _, donor, *__: pasted.append((face, donor)) or face
    )
    for index in range(8):
        pairs.made_of(index, np.random.default_rng(index))
    for index, (face, donor) in enumerate(pasted):
        assert np.array_equal(face, turned[index])
        found = [i for i in range(8) if np.array_equal(donor, turned[i])]
        assert index not in found
        assert all(i % 2 == index % 2 for i in found)  # of its source
        assert index % 2 == 0 or all((i % 4 == 1) == (index % 4 == 1) for i in found)  # mirrored like it


def test_a_face_alone_in_its_collection_is_blended_into_itself(real_faces):
    alone = Faces(real_faces.crops[:1], real_faces.rows[:1], ())
    fake, real = BlendedPairs(alone, Recipe(blended=1.0, blended_with_other=1.0)).draw(np.random.default_rng(1))
    assert fake.shape == real.shape
    assert not np.array_equal(fake, real)


def test_made_fakes_are_of_a_family_of_their_own(real_faces):
    made = with_made_fakes(real_faces, Recipe(blended=1.0, blended_with_other=0.5))
    assert made.families.tolist() == ["", "blended"] * 8
