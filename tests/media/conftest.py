"""Frames for the tests of the encoder and the planes."""

from tests.overlay.conftest import flat, moving

__all__ = ["flat", "moving"]
