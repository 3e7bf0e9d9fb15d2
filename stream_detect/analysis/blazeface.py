"""The arithmetic around BlazeFace's network: anchors, letterbox, decoding of the raw outputs, and weighted NMS.

The numbers are those of MediaPipe's published face detection graphs (Apache-2.0): an anchor is only a centre (its size
is fixed at 1), and the network gives, per anchor, a logit and 16 values in pixels of its input: the box's centre and
size, then six key points, all centres relative to the anchor. Bazarevsky et al., BlazeFace, 2019, arXiv:1907.05047.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.tracks import overlaps
from stream_detect.errors import AnalysisError
from stream_detect.types import Face

Range = Literal["full", "short"]
Floats = NDArray[np.float32]

KEYPOINTS = 6
SUPPRESSION_IOU = 0.3  # min_suppression_threshold of both graphs


@dataclass(frozen=True, slots=True)
class BlazeFaceGraph:
    """The parameters in which the published BlazeFace networks differ.

    Args:
        file: name of the .tflite file in `networks/`.
        input_px: side of the square input.
        layers: (stride in input pixels, anchors per cell) of each output layer, in the order of the outputs.
    """

    file: str
    input_px: int
    layers: tuple[tuple[int, int], ...]

    def anchors(self) -> Floats:
        """Anchor centres in input pixels, float32 (n, 2), in the order of the network's outputs."""
        layers = []
        for stride, per_cell in self.layers:
            middles = (np.arange(self.input_px // stride, dtype=np.float32) + 0.5) * stride
            x, y = np.meshgrid(middles, middles)
            layers.append(np.repeat(np.stack((x.ravel(), y.ravel()), axis=1), per_cell, axis=0))
        return np.concatenate(layers)


GRAPHS: dict[Range, BlazeFaceGraph] = {
    "full": BlazeFaceGraph("face_detection_full_range.tflite", 192, ((4, 1),)),
    # The graph lists strides 8, 16, 16, 16 with two anchors each: layers of one stride share their cells.
    "short": BlazeFaceGraph("face_detection_short_range.tflite", 128, ((8, 2), (16, 6))),
}


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Position of a frame in the square input: scaled by `scale_xy`, its corner at (left, top), black around it.

    Args:
        wh: size of the scaled frame in input pixels.
        left: input pixels to the left of the frame.
        top: input pixels above the frame.
        scale_xy: input pixels per frame pixel; the two differ only by the rounding of `wh`.
    """

    wh: tuple[int, int]
    left: int
    top: int
    scale_xy: tuple[float, float]

    @classmethod
    def fit(cls, frame_wh: tuple[int, int], input_px: int, border: float = 0.0) -> "Letterbox":
        """The largest letterbox for a frame of `frame_wh` pixels that keeps its aspect ratio, centred.

        Args:
            frame_wh: width and height of the frame in pixels.
            input_px: side of the input.
            border: free space on every side, as a share of the frame's longer side.
        """
        scale = input_px / (max(frame_wh) * (1.0 + 2.0 * border))
        w, h = (max(round(side * scale), 1) for side in frame_wh)
        return cls((w, h), (input_px - w) // 2, (input_px - h) // 2, (w / frame_wh[0], h / frame_wh[1]))

    def to_frame(self, points: Floats) -> Floats:
        """Converts points (..., 2) from input pixels to frame pixels."""
        origin = np.array((self.left, self.top), np.float32)
        return ((points - origin) / np.array(self.scale_xy, np.float32)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Detections before or after suppression, best score first.

    Args:
        points: float32 (n, 8, 2) in input pixels: top left and bottom right corner of the box, then the key points.
        scores: float32 (n,) in [0, 1].
    """

    points: Floats
    scores: Floats


def decode(regressors: Floats, logits: Floats, anchors: Floats, min_score: float) -> Candidates:
    """Decodes the anchors that detected a face.

    Args:
        regressors: float32 (n, 16), as the network returns them.
        logits: float32 (n,).
        anchors: float32 (n, 2) in input pixels.
        min_score: in [0, 1]; weaker anchors are dropped before their boxes are computed.

    Raises:
        AnalysisError: the network returned numbers that are not finite.
    """
    with np.errstate(divide="ignore"):
        min_logit = np.log(min_score) - np.log1p(-min_score)
    kept = np.flatnonzero(logits >= min_logit)
    kept = kept[np.argsort(-logits[kept], kind="stable")]
    if np.isnan(logits.max()) or not np.isfinite(regressors[kept]).all():
        raise AnalysisError("expected finite numbers from the face detector, received others")
    raw = regressors[kept].reshape(-1, 2 + KEYPOINTS, 2)
    centres = raw[:, :1] + anchors[kept, None]
    half = raw[:, 1:2] / 2
    points = np.concatenate((centres - half, centres + half, raw[:, 2:] + anchors[kept, None]), axis=1)
    # MediaPipe clips logits at 100 for the same reason: exp must not overflow.
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits[kept], -80.0, 80.0)))
    return Candidates(points, scores.astype(np.float32))


def suppress(candidates: Candidates, iou: float = SUPPRESSION_IOU) -> Candidates:
    """Weighted non-maximum suppression: each face is the score-weighted mean of the anchors that agree on it.

    The best candidate absorbs all that overlap it by more than `iou`, and their mean gets its score; this repeats with
    the remaining ones. The mean is steadier from frame to frame than the best candidate alone, so crops do not jitter.
    """
    points, scores = candidates.points, candidates.scores
    means, best = [], []
    while len(scores):
        boxes = points[:, :2].reshape(-1, 4)
        agree = overlaps(boxes[:1], boxes)[0] > iou
        agree[0] = True  # ensures progress even for a box without area
        weights = scores[agree] / scores[agree].sum()
        means.append(weights @ points[agree].reshape(len(weights), -1))
        best.append(scores[0])
        points, scores = points[~agree], scores[~agree]
    return Candidates(
        np.array(means, np.float32).reshape(-1, 2 + KEYPOINTS, 2),
        np.array(best, np.float32),
    )


def to_faces(found: Candidates, letterbox: Letterbox, max_faces: int) -> list[Face]:
    """The `max_faces` largest detections as faces in frame pixels, best score first."""
    points = letterbox.to_frame(found.points)
    areas = np.prod(points[:, 1] - points[:, 0], axis=1)
    largest = np.sort(np.argsort(-areas, kind="stable")[:max_faces])
    faces = []
    for i in largest:
        left, top, right, bottom = points[i, :2].ravel().tolist()
        faces.append(Face((left, top, right, bottom), points[i, 2:].copy(), float(found.scores[i])))
    return faces
