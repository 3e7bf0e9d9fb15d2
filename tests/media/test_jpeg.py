"""JPEG files: colours are kept, and arrays that are not images are refused."""

import cv2
import numpy as np
import pytest

from stream_detect.errors import MediaError
from stream_detect.media.jpeg import encode_jpeg


def test_colours_are_rgb():
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 0] = 200
    decoded = cv2.imdecode(np.frombuffer(encode_jpeg(image, 95), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(int) - image).max() <= 3


def test_better_quality_takes_more_bytes():
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    assert len(encode_jpeg(image, 40)) < len(encode_jpeg(image, 95))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
        np.zeros((1, 70_000, 3), np.uint8),
    ],
    ids=["grey", "RGBA", "float", "empty", "too wide"],
)
def test_what_cannot_be_written_is_refused(image):
    with pytest.raises(MediaError, match=r"image"):
        encode_jpeg(image, 90)
