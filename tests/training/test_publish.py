"""Calibration of a bundle and metrics of its card: its own data only, people's traits, false alarms per hour."""

from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.analysis.crop import cut
from stream_detect.analysis.detector import BlazeFace
from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import Faces, Row, read_traits
from stream_detect.evaluation.manifest import real_clips
from stream_detect.evaluation.metrics import alarms_an_hour, alarms_by_trait
from stream_detect.evaluation.scored import Scored
from stream_detect.models.card import WindowThresholds
from stream_detect.models.registry import Registry
from stream_detect.training.blended_pairs import with_made_fakes
from stream_detect.training.recipe import Recipe
from stream_detect.types import CropPolicy


@pytest.fixture
def mixed() -> Faces:
    """Two real faces of FairFace, and one real and one fake face of DFDC."""
    face = cut(astronaut(), BlazeFace("full", 0.6, 1).detect(astronaut())[0], CropPolicy((224, 224)))
    sources = (("real", "fairface"), ("real", "fairface"), ("real", "dfdc"), ("fake", "dfdc"))
    rows = tuple(Row(f"{i}.jpg", label, source, f"{source}:{i}", "val") for i, (label, source) in enumerate(sources))
    return Faces(np.stack([face] * len(rows)), rows, ())


def test_made_fakes_stand_beside_the_recipe_s_real_faces_only(mixed):
    made = with_made_fakes(mixed, Recipe(sources=("fairface",), blended=1.0))
    assert [(row.source, row.label) for row in made.rows] == [("fairface", "real"), ("fairface", "fake")] * 2
    assert made.crops.shape == (4, 224, 224, 3)
    assert not np.array_equal(made.crops[0], made.crops[1])


def test_without_a_face_there_is_nothing_to_make_fakes_of(mixed):
    grey = Faces(np.full_like(mixed.crops, 128), mixed.rows, ())
    with pytest.raises(DatasetError, match="the face mesh found none"):
        with_made_fakes(grey, Recipe(sources=("fairface",), blended=1.0))


def test_false_alarms_are_counted_for_each_trait_that_enough_people_have():
    n = 50
    probability = np.where(np.arange(n) < 10, 0.95, 0.1)
    groups = np.array([f"g{i}" for i in range(n)])
    scored = Scored(probability, np.zeros(n, bool), np.array(["fairface"] * n), groups)
    traits = {f"g{i}": {"gender": "Female" if i < 25 else "Male", "age": "20-29" if i < 5 else ""} for i in range(n)}
    counted = alarms_by_trait(scored, traits, "a test", WindowThresholds(fake_enter=0.9, fake_leave=0.7))
    assert [(metric.data, metric.value, metric.n) for metric in counted] == [
        ("a test, gender Female", 0.4, 25),
        ("a test, gender Male", 0.0, 25),
    ]


def test_traits_are_read_where_the_table_has_any(tmp_path):
    table = "file,label,source,group,split,race,gender\na.jpg,real,fairface,a,val,Black,Male\nb.jpg,real,dfdc,b,val,,\n"
    (tmp_path / "faces.csv").write_text(table, encoding="utf-8")
    assert read_traits(tmp_path) == {"a": {"race": "Black", "gender": "Male", "age": ""}}


def test_false_alarms_an_hour_are_counted_by_replaying_clips(shared):
    clips = [path for path in real_clips(shared / "data/clips/clips.csv") if "single_face" in path.name]
    counted = alarms_an_hour(Registry.of(None).load("meso4-dfdc"), clips)
    assert (counted.name, counted.value) == ("alarms_an_hour", 0.0)
    assert counted.n == 2  # seconds


def test_without_clips_nothing_is_counted():
    with pytest.raises(DatasetError, match="received none"):
        alarms_an_hour(Registry.of(None).load("meso4-dfdc"), [])


def test_a_manifest_without_real_clips_is_refused(tmp_path):
    manifest = tmp_path / "clips.csv"
    manifest.write_text("file,label\na.mp4,fake\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="label real"):
        real_clips(Path(manifest))
