"""Batches: pairs by the recipe, reproducible by step, in order, with bounded prefetching."""

import pickle
from dataclasses import replace
from multiprocessing import active_children

import numpy as np
import pytest

from stream_detect.errors import DatasetError, TrainingError
from stream_detect.evaluation.dataset import Faces, JoinedCrops, Row
from stream_detect.evaluation.degradation import Degradation
from stream_detect.training import batches as batches_module
from stream_detect.training.batches import Batches
from stream_detect.training.recipe import Recipe

RECIPE = Recipe(steps=9, batch=8)


@pytest.fixture
def numbered(monkeypatch):
    """Faces whose pixels all have the face's index as value, without augmentation."""
    rows = []
    for i in range(10):
        rows += [
            Row(f"r{i}", "real", "dfdc", f"g{i}", "train"),
            Row(f"f{i}", "fake", "dfdc", f"g{i}", "train"),
            Row(f"p{i}", "real", "ffhq", f"p{i}", "train"),
            Row(f"s{i}", "fake", "sdfd_sd21", f"s{i}", "train"),
        ]
    crops = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 32, 32, 3))
    monkeypatch.setattr(batches_module, "draw", lambda _: Degradation())
    return Faces(crops, tuple(rows), ())


def shown(batch):
    return batch[0][:, 16, 16, 0]


def test_a_batch_is_pairs_of_fake_and_real(marked_faces):
    crops, labels = Batches(marked_faces, RECIPE).batch(1)
    assert crops.shape == (8, 256, 256, 3)
    assert crops.dtype == np.uint8
    assert crops.max() > 128
    assert labels.dtype == np.float32
    assert labels.tolist() == [1, 0] * 4


def test_a_fake_stands_beside_a_real_face_of_its_group_or_of_the_pairing_s_source(numbered):
    batches = Batches(numbered, RECIPE)
    stills = 0
    for step in range(1, 60):
        picked = shown(batches.batch(step))
        for fake, real in zip(picked[::2], picked[1::2], strict=True):
            first, second = numbered.rows[fake], numbered.rows[real]
            assert (first.label, second.label) == ("fake", "real")
            if first.source == "dfdc":
                assert first.group == second.group
            else:
                assert second.source == "ffhq"
                stills += 1
    # 9 of 93 parts: pairings with FairFace, which is absent, are left out.
    assert stills / (59 * 4) == pytest.approx(0.09 / 0.93, abs=0.05)


def test_both_of_a_pair_are_degraded_alike_and_pairs_are_not(marked_faces, monkeypatch):
    seen = []
    monkeypatch.setattr(batches_module, "degrade", lambda image, how, _: seen.append(how) or image)
    Batches(marked_faces, RECIPE).batch(3)
    assert seen[::2] == seen[1::2]
    assert len(set(seen[::2])) == 4


def test_the_recipe_s_share_of_pairs_is_degraded(marked_faces, monkeypatch):
    seen = []
    monkeypatch.setattr(batches_module, "degrade", lambda image, how, _: seen.append(how) or image)
    batches = Batches(marked_faces, replace(RECIPE, degraded=0.25))
    for step in range(1, 60):
        batches.batch(step)
    assert np.mean([how != Degradation() for how in seen]) == pytest.approx(0.25, abs=0.09)  # 2.5 sigma of 236 pairs


def test_a_share_of_the_pairs_is_sent_through_a_codec(marked_faces):
    plain, sent = (Batches(marked_faces, replace(RECIPE, sent=share)).batch(1)[0] for share in (0.0, 1.0))
    difference = np.abs(plain.astype(int) - sent).mean()
    assert 0 < difference < 40  # a PSNR above 15 dB: degraded, but aligned
    with pytest.raises(TrainingError, match=r"sent in .*received 1\.5"):
        replace(RECIPE, sent=1.5)


def test_a_step_s_batch_depends_on_seed_and_step_alone(marked_faces):
    batches = Batches(marked_faces, RECIPE)
    in_order = dict(batches.from_step(1))
    assert list(in_order) == list(range(1, 10))
    later = dict(Batches(marked_faces, RECIPE).from_step(7))
    assert list(later) == [7, 8, 9]
    assert np.array_equal(in_order[8][0], later[8][0])
    other = Batches(marked_faces, replace(RECIPE, seed=2)).batch(8)
    assert not np.array_equal(in_order[8][0], other[0])


@pytest.mark.parametrize("joined", [False, True])
def test_processes_make_the_batches_that_threads_make(marked_faces, tmp_path, joined):
    np.save(tmp_path / "crops.npy", np.concatenate((marked_faces.crops, np.zeros_like(marked_faces.crops[:2]))))
    mapped = np.load(tmp_path / "crops.npy", mmap_mode="r")[: len(marked_faces.rows)]
    faces = replace(marked_faces, crops=JoinedCrops((mapped,)) if joined else mapped)
    by_threads = dict(Batches(marked_faces, RECIPE).from_step(1))
    by_processes = dict(Batches(faces, RECIPE).from_step(1, processes=2))
    assert list(by_processes) == list(by_threads)
    assert all(np.array_equal(by_processes[step][0], by_threads[step][0]) for step in by_threads)


def test_a_killed_process_is_reported_with_its_cure(marked_faces):
    batches = Batches(marked_faces, replace(RECIPE, steps=1000)).from_step(1, processes=1)
    next(batches)
    for process in active_children():
        process.kill()
    with pytest.raises(TrainingError, match=r"use fewer \(--processes\); the same command goes on"):
        list(batches)


def test_a_memory_map_travels_as_the_name_of_its_file(tmp_path):
    crops = np.random.default_rng(1).integers(0, 256, (50, 32, 32, 3), np.uint8)
    np.save(tmp_path / "crops.npy", crops)
    mapped = JoinedCrops((np.load(tmp_path / "crops.npy", mmap_mode="r")[:40], crops[40:42]))
    sent = pickle.dumps(mapped)
    assert len(sent) < 2 * crops[0].nbytes + 1000
    assert np.array_equal(pickle.loads(sent)[:], crops[:42])  # noqa: S301 - ours
    later = JoinedCrops((np.load(tmp_path / "crops.npy", mmap_mode="r")[5:9],))
    assert np.array_equal(pickle.loads(pickle.dumps(later))[:], crops[5:9])  # noqa: S301 - ours


def test_few_batches_are_made_ahead(marked_faces, monkeypatch):
    made = []
    batches = Batches(marked_faces, replace(RECIPE, steps=1000))
    monkeypatch.setattr(batches, "batch", lambda step: made.append(step) or (None, None))
    given = batches.from_step(1)
    next(given)
    given.close()
    assert len(made) <= 7


def test_sources_that_no_default_pairing_knows_are_paired_anyhow(marked_faces):
    own = Faces(marked_faces.crops, tuple(replace(row, source="own") for row in marked_faces.rows), ())
    assert Batches(own, RECIPE).batch(1)[1].tolist() == [1, 0] * 4


def test_one_kind_only_is_reported(numbered):
    only = Faces(numbered.crops, tuple(replace(row, label="real") for row in numbered.rows), ())
    with pytest.raises(DatasetError, match=r"expected fake faces in split train of .*received none"):
        Batches(only, RECIPE)


@pytest.mark.parametrize("wrong", [{"batch": 7}, {"batch": 0}, {"steps": 0}])
def test_impossible_recipe_is_reported(wrong):
    with pytest.raises(TrainingError, match="expected steps"):
        Recipe(**wrong)
