"""Pictures of one real person for tests of challenges: at rest, closer, and with the mouth or an eye covered."""

import cv2
import numpy as np
from skimage.data import astronaut

from stream_detect.analysis.detector import BlazeFace
from stream_detect.types import Face, Image

WH = (640, 480)
_EYE, _MOUTH = 0, 3  # indices of the person's right eye and of the mouth among a face's key points


def person(size: float = 1.0, covered: str = "", seed: int = 0) -> Image:
    """The astronaut in a 640x480 frame, with camera noise.

    Args:
        size: scale of the face.
        covered: "mouth" or "eye", covered by a fist in the colour of the skin.
        seed: seed of the noise.
    """
    source = astronaut()
    if covered:
        face = BlazeFace("full", 0.6, 1).detect(source)[0]
        source = _with_fist(source, face, covered)
    scale = 1.2 * size
    matrix = np.array(((scale, 0.0, WH[0] / 2 - scale * 222), (0.0, scale, WH[1] / 2 - scale * 130)))
    framed = cv2.warpAffine(source, matrix, WH, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    noise = np.random.default_rng(seed).normal(0.0, 3.0, framed.shape)
    return np.clip(framed + noise, 0, 255).astype(np.uint8)


def _with_fist(picture: Image, face: Face, covered: str) -> Image:
    """A fist: four knuckles side by side, lit from above."""
    x, y = face.keypoints[_MOUTH if covered == "mouth" else _EYE]
    width = face.xyxy[2] - face.xyxy[0]
    nose = face.keypoints[2].astype(int)
    skin = picture[nose[1] - 16 : nose[1] - 10, nose[0] - 3 : nose[0] + 3].mean(axis=(0, 1))
    fist = picture.astype(np.float32)
    share = 0.34 if covered == "mouth" else 0.22
    for number in range(4):
        middle = (int(x), int(y + (number - 1.5) * 0.13 * width))
        for inner in (1.0, 0.8, 0.6, 0.4):
            axes = (int(share * width * (0.8 + 0.2 * inner)), int(0.075 * width * inner))
            cv2.ellipse(fist, middle, axes, 0, 0, 360, tuple(float(c) for c in skin * (1.15 - 0.45 * inner)), -1)
    return np.clip(cv2.GaussianBlur(fist, (0, 0), 0.8), 0, 255).astype(np.uint8)
