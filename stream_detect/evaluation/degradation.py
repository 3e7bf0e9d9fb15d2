"""Degrades a face crop as cameras, codecs and screens do; the conditions of the robustness table degrade whole files.

Fakes have often passed one more codec than real videos, and stills are sharper than videos. A network that does not
see all qualities of both learns the quality instead of the fake; so a degradation is drawn once and applied to both
faces of a pair.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from stream_detect.evaluation.codec import Codec, Sent, VideoCall, arrived, draw_sent, in_a_call, video_in_a_call
from stream_detect.evaluation.media import sampled
from stream_detect.types import Frame, Image

_LEAST_PX = 24
"""Side below which a reduced face is no longer a face."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """Steps applied to a face, in this order; None omits a step.

    Args:
        blur_px: sigma of a Gaussian blur, pixels of the crop.
        scale: factor by which it is reduced before it is enlarged again, in (0, 1].
        gamma: exponent of the brightness curve.
        gain: contrast around middle grey.
        bias: added brightness, of 255.
        noise: standard deviation of added noise, of 255.
        jpeg: JPEG quality in [1, 100].
        sent: codec and bitrate of a call.
    """

    blur_px: float | None = None
    scale: float | None = None
    gamma: float = 1.0
    gain: float = 1.0
    bias: float = 0.0
    noise: float | None = None
    jpeg: int | None = None
    sent: Sent | None = None


def draw(rng: np.random.Generator) -> Degradation:
    """Draws a degradation as by webcams, calls and re-uploads; each step is sometimes omitted."""

    def at_times(share: float, low: float, high: float) -> float | None:
        value = float(rng.uniform(low, high))
        return value if rng.random() < share else None

    jpeg = at_times(0.7, 30, 95)
    return Degradation(
        blur_px=at_times(0.35, 0.3, 2.0),
        scale=at_times(0.5, 0.25, 1.0),
        gamma=at_times(0.4, 0.7, 1.4) or 1.0,
        gain=at_times(0.6, 0.7, 1.3) or 1.0,
        bias=at_times(0.6, -25, 25) or 0.0,
        noise=at_times(0.3, 1, 8),
        jpeg=None if jpeg is None else int(jpeg),
    )


def sometimes_sent(how: Degradation, share: float, rng: np.random.Generator) -> Degradation:
    """The degradation, in this share of cases with a video codec as its last step; a share of 0 draws nothing."""
    return replace(how, sent=draw_sent(rng)) if share and rng.random() < share else how


def degrade(image: Image, how: Degradation, rng: np.random.Generator) -> Image:
    """Degrades a picture; the size stays.

    Args:
        image: RGB uint8 (h, w, 3).
        how: the degradation, drawn once for both faces of a pair.
        rng: draws the noise.
    """
    h, w = image.shape[:2]
    worse: Image = image
    if how.blur_px:
        worse = np.asarray(cv2.GaussianBlur(worse, (0, 0), how.blur_px), np.uint8)
    if how.scale:
        small = (max(int(w * how.scale), _LEAST_PX), max(int(h * how.scale), _LEAST_PX))
        shrunk = cv2.resize(worse, small, interpolation=cv2.INTER_AREA)
        worse = np.asarray(cv2.resize(shrunk, (w, h), interpolation=cv2.INTER_LINEAR), np.uint8)
    curve = (255 * (np.arange(256) / 255) ** how.gamma - 128) * how.gain + 128 + how.bias
    worse = np.asarray(cv2.LUT(worse, np.clip(curve, 0, 255).astype(np.uint8)), np.uint8)
    if how.noise:
        noise = rng.standard_normal(worse.shape, np.float32) * np.float32(how.noise)
        worse = np.clip(worse + noise, 0, 255).astype(np.uint8)
    if how.jpeg:
        # OpenCV expects BGR. Otherwise colour and brightness would be weighted wrongly, so the channels are swapped and
        # swapped back.
        _, encoded = cv2.imencode(".jpg", worse[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, how.jpeg))
        worse = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    if how.sent:
        worse = arrived(np.ascontiguousarray(worse), how.sent)
    return np.ascontiguousarray(worse)


def move(image: Image, rng: np.random.Generator) -> Image:
    """Mirrors (or not), rotates by up to 6 degrees, scales by -8 to +12 %, and shifts by up to a 32nd.

    Slightly more than the detector's jitter does to a crop.
    """
    h, w = image.shape[:2]
    mirrored = image[:, ::-1] if rng.random() < 0.5 else image
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), float(rng.uniform(-6, 6)), float(rng.uniform(0.92, 1.12)))
    matrix = np.asarray(turn, np.float64)
    matrix[:, 2] += np.multiply(rng.uniform(-1 / 32, 1 / 32, 2), (w, h))
    moved = cv2.warpAffine(
        np.ascontiguousarray(mirrored), matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(moved, np.uint8)


_KBIT_S = (800, 300, 150)
_CODECS: tuple[tuple[Codec, str], ...] = (("h264", "H.264"), ("vp8", "VP8"))


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of the robustness table.

    Args:
        name: name in the table.
        picture: degrades a picture, RGB uint8 (h, w, 3), with a random number generator.
        call: codec and bitrate for a whole video; None if each frame is degraded separately.
    """

    name: str
    picture: Callable[[Image, np.random.Generator], Image]
    call: VideoCall | None = None

    def video(self, stream: Iterable[Frame], rate_hz: float, rng: np.random.Generator) -> Iterator[Frame]:
        """Yields the sampled frames of a video, degraded.

        Args:
            stream: all frames.
            rate_hz: samples per second of stream time.
            rng: random number generator.
        """
        if self.call is not None:
            return sampled(video_in_a_call(stream, self.call), rate_hz)
        return (replace(frame, image=self.picture(frame.image, rng)) for frame in sampled(stream, rate_hz))


def conditions() -> tuple[Condition, ...]:
    """All conditions. Lengths in pixels are for a picture of 224 px and grow with its shorter side."""
    return (
        *(_by(f"JPEG, quality {quality}", Degradation(jpeg=quality)) for quality in (90, 50, 20)),
        *(_blur(sigma) for sigma in (1.0, 2.0)),
        *(_by(f"rescaled to {scale:.0%} and back", Degradation(scale=scale)) for scale in (0.5, 0.25)),
        *(_by(f"noise of {sigma:g}", Degradation(noise=sigma)) for sigma in (4.0, 10.0)),
        *(_by(f"gamma {gamma:g}", Degradation(gamma=gamma)) for gamma in (0.6, 1.6)),
        *(_call(codec, title, kbit_s) for codec, title in _CODECS for kbit_s in _KBIT_S),
    )


def _by(name: str, how: Degradation) -> Condition:
    return Condition(name, lambda image, rng: degrade(image, how, rng))


def _blur(sigma: float) -> Condition:
    def worsen(image: Image, rng: np.random.Generator) -> Image:
        return degrade(image, Degradation(blur_px=sigma * min(image.shape[:2]) / 224), rng)

    return Condition(f"blur, sigma {sigma:g} px of 224", worsen)


def _call(codec: Codec, title: str, kbit_s: int) -> Condition:
    call = VideoCall(codec, kbit_s * 1000)
    return Condition(f"{title}, {kbit_s} kbit/s", lambda image, rng: in_a_call(image, call, rng), call)
