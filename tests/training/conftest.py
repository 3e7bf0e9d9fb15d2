"""Fixtures of the tests of training."""

import os

from tests.labelled_faces import face, marked_faces, training_data

__all__ = ["face", "marked_faces", "training_data"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
