"""A duet: two trained networks and validation faces enter, one network that weighs and adds their logits leaves."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from stream_detect.errors import DatasetError, TrainingError
from stream_detect.training.architectures import architecture_named
from stream_detect.training.dataset import Faces
from stream_detect.training.evaluate import held_out
from stream_detect.training.recipe import DUET

_BATCH = 64


def join(members: Sequence[keras.Model], val: Faces) -> keras.Model:
    """The duet of two networks; how much each counts is fitted on the half of the groups that calibrations use.

    Args:
        members: trained, of the architectures `DUET`, in that order.
        val: faces that neither was trained on, cut for the duet.

    Raises:
        TrainingError: the members are of other architectures.
        DatasetError: the faces are one-sided.
    """
    h, w = val.crops.shape[1:3]
    architecture = architecture_named("duet")
    joined = architecture.build((w, h), architecture.dropout)
    branches = [joined.get_layer(name).input for name in ("coarse", "fine")]
    for name, branch, member in zip(DUET, branches, members, strict=True):
        try:
            keras.Model(joined.input, branch).set_weights(member.get_weights())
        except ValueError as error:
            raise TrainingError(f"expected the weights of a {name} as member, received others: {error}") from error
    logits = keras.Model(joined.input, branches)
    chosen = np.flatnonzero([not held_out(group) for group in val.groups])
    fake = val.fake[chosen]
    if not fake.any() or fake.all():
        raise DatasetError("expected real and fake faces to weigh the members on, received one kind only")
    parts = [
        np.concatenate(logits.predict_on_batch(val.crops[some].astype(np.float32) / np.float32(255)), axis=1)
        for some in np.array_split(chosen, math.ceil(len(chosen) / _BATCH))
    ]
    model = LogisticRegression(C=1e6, class_weight="balanced").fit(np.concatenate(parts), fake)
    joined.get_layer("coarse").set_weights([model.coef_[:, :1].astype(np.float32)])
    joined.get_layer("fine").set_weights([model.coef_[:, 1:].astype(np.float32), model.intercept_.astype(np.float32)])
    return joined
