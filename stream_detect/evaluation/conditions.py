"""The conditions of the robustness table: how a picture or video is degraded before it is judged."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from stream_detect.evaluation.codec import Codec, VideoCall, in_a_call, video_in_a_call
from stream_detect.evaluation.degradation import Degradation, degrade
from stream_detect.evaluation.media import sampled
from stream_detect.types import Frame, Image

_KBIT_S = (800, 300, 150)
_CODECS: tuple[tuple[Codec, str], ...] = (("h264", "H.264"), ("vp8", "VP8"))


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of the table.

    Args:
        name: as the table says it.
        picture: worsens a picture, RGB uint8 (h, w, 3); what it draws, it draws from the generator.
        call: through which a whole video is sent; None where each of its frames is worsened by itself.
    """

    name: str
    picture: Callable[[Image, np.random.Generator], Image]
    call: VideoCall | None = None

    def video(self, stream: Iterable[Frame], rate_hz: float, rng: np.random.Generator) -> Iterator[Frame]:
        """The sampled frames of a video, worsened.

        Args:
            stream: all of its frames.
            rate_hz: samples a second of stream time.
            rng: draws what is drawn.
        """
        if self.call is not None:
            return sampled(video_in_a_call(stream, self.call), rate_hz)
        return (replace(frame, image=self.picture(frame.image, rng)) for frame in sampled(stream, rate_hz))


def conditions() -> tuple[Condition, ...]:
    """All of them. Lengths in pixels are for a picture of 224 px and grow with its shorter side."""
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
