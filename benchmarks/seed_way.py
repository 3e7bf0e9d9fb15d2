"""The way of the two projects this one grew out of, as our own short code from its description.

cv2.VideoCapture reads every frame; of every third one (or of every one) the whole picture is resized to the network's
input and given to Keras' `model.predict`, one by one. They cut the face by a Haar cascade, or not at all; OpenCV 5 has
no cascades any more, so no face is searched here: the way is timed without what would have cost it most.
"""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stream_detect.models.bundle import KERAS_FILE
from stream_detect.models.registry import Registry


class SeedWay:
    """Keras with a network of ours: the import and the first call, which sets up, are not timed.

    Args:
        bundle: name of the one whose network it runs.
    """

    def __init__(self, bundle: str) -> None:
        import keras  # noqa: PLC0415 - takes seconds and memory: only where it is measured

        home = Registry.of(None).folder_of(bundle)
        self._network: Any = keras.saving.load_model(home / KERAS_FILE, compile=False, safe_mode=True)
        self._wh = tuple(self._network.input_shape[2:0:-1])
        self._network.predict(np.zeros((1, *self._wh[::-1], 3), np.float32), verbose=0)

    def seconds(self, clip: Path, every: int, at_most: int) -> float:
        """Time for the whole clip.

        Args:
            clip: a video.
            every: so many frames, one is judged.
            at_most: predictions made; what they take is counted for the rest of the clip as well.
        """
        reading_s, predicting_s, predicted, wanted = 0.0, 0.0, 0, 0
        capture = cv2.VideoCapture(str(clip))
        number = 0
        while True:
            began_s = time.perf_counter()
            there, bgr = capture.read()
            reading_s += time.perf_counter() - began_s
            if not there:
                break
            if number % every == 0:
                wanted += 1
                if predicted < at_most:
                    predicted += 1
                    began_s = time.perf_counter()
                    self._judge(bgr)
                    predicting_s += time.perf_counter() - began_s
            number += 1
        capture.release()
        return reading_s + predicting_s / max(predicted, 1) * wanted

    def _judge(self, bgr: Any) -> None:
        rgb = cv2.cvtColor(cv2.resize(bgr, self._wh), cv2.COLOR_BGR2RGB)
        self._network.predict(rgb[np.newaxis].astype(np.float32) / 255, verbose=0)
