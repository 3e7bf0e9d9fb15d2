"""A duet: its members' weights in their places, joined by numbers fitted on faces, the same on both backends."""

import numpy as np
import pytest

from stream_detect.errors import DatasetError, TrainingError
from stream_detect.training.dataset import Faces

# ruff: noqa: PLC0415 - TensorFlow is imported by the tests that run, not while tests are collected
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]


@pytest.fixture
def small(marked_faces):
    """The marked faces at 64 x 64."""
    return Faces(np.ascontiguousarray(marked_faces.crops[:, 96:160, 96:160]), marked_faces.rows, ())


@pytest.fixture
def members():
    import keras

    from stream_detect.training.architectures import architecture_named

    keras.utils.set_random_seed(5)
    return [architecture_named("meso4").build((64, 64), 0.3), architecture_named("streamnet").build((48, 48), 0.3)]


def logit(probability):
    return np.log(probability / (1 - probability))


def test_the_duet_adds_its_members_weighed_logits(small, members):
    import keras

    from stream_detect.training.duet import join

    joined = join(members, small)
    crops = small.crops.astype(np.float32) / np.float32(255)
    coarse = logit(members[0].predict_on_batch(crops))
    resized = keras.ops.convert_to_numpy(keras.ops.image.resize(crops, (48, 48), interpolation="bilinear"))
    fine = logit(members[1].predict_on_batch(resized))
    (a,), (b, c) = (joined.get_layer(name).get_weights() for name in ("coarse", "fine"))
    assert logit(joined.predict_on_batch(crops)) == pytest.approx(coarse * a + fine * b + c, abs=1e-3)
    assert float(a[0, 0]) != 0


def test_members_in_the_wrong_places_are_refused(small, members):
    from stream_detect.training.duet import join

    with pytest.raises(TrainingError, match="expected the weights of a meso4 as member"):
        join(members[::-1], small)


def test_one_kind_of_face_joins_nothing(small, members):
    from stream_detect.training.duet import join

    real = np.flatnonzero(~small.fake)
    with pytest.raises(DatasetError, match="received one kind only"):
        join(members, Faces(small.crops[real], tuple(small.rows[i] for i in real), ()))
