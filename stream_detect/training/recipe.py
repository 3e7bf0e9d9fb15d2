"""How a model is trained: every number of it, with its reason."""

import difflib
import math
import tomllib
from bisect import bisect_right
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stream_detect.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Pairing:
    """Where a fake face and the real one beside it come from.

    Args:
        share: of all pairs, before pairings without faces are left out.
        fake: source of the fake one; None is any.
        real: source of the real one; None is any.
        same_group: the fake was made from the real one's video: same person, camera and light, so that nothing but
            the manipulation tells them apart.
    """

    share: float
    fake: str | None
    real: str | None
    same_group: bool = False


PAIRINGS = (
    Pairing(0.84, "dfdc", "dfdc", same_group=True),
    # Stills are few: enough to know them, too few to be learnt by heart.
    Pairing(0.09, "sdfd_sd21", "ffhq"),
    # Photos of many real people, against false alarms on faces that DFDC's actors do not stand for.
    Pairing(0.049, "dfdc", "fairface"),
    Pairing(0.021, "sdfd_sd21", "fairface"),
)
LAST = "last"
"""`selected_by` of a training that chooses no checkpoint."""
ANY_PAIRING = Pairing(1.0, None, None)
"""For data of which the other pairings know no source."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training.

    Args:
        architecture: by name.
        steps: batches in all; 4,500 batches of 64 show each DFDC pair about 13 times.
        batch: faces a batch, an even number: pairs of a real and a fake one.
        learning_rate: of Adam at its peak; falls to a hundredth by a half cosine.
        restarts: steps, rising, after which it climbs to half of the peak before and falls again (SGDR, Loshchilov
            and Hutter 2017, arXiv:1608.03983): goes on with a training that had more to learn.
        warmup_steps: until that peak, at most a quarter of all steps.
        dropout: share hidden; .3 instead of the published .5, as the degradations do that work already.
        label_smoothing: keeps logits moderate, so that the calibration finds usable ones.
        ema: weight of the past in the moving average of the weights, which is what is measured and kept.
        ema_from: step of the average's first value; the weights before it are of no use.
        validate_every: steps between measurements; batch normalisation needs some hundred before the first means
            anything.
        seed: of everything that is drawn.
        pairings: what a batch is made of.
        sources: collections to learn from; none named is all.
        blended: share of pairs whose fake one is made of the real one (blending.py).
        degraded: share of pairs that are worsened as webcams, calls and re-uploads do.
        sent: share of pairs that go through a real H.264 or VP8 encoder at a call's bitrate.
        selected_by: source whose validation AUC chooses the best checkpoint, where it has faces of both kinds; "last"
            chooses none and keeps the last.
        patience: validations without a new best AUC after which the training ends; 0 never ends it early. The warm-up
            of the figures counts among them: with `validate_every` 300, some 5 are sensible.
    """

    architecture: str = "meso4"
    steps: int = 4500
    batch: int = 64
    learning_rate: float = 1e-3
    restarts: tuple[int, ...] = ()
    warmup_steps: int = 200
    dropout: float = 0.3
    label_smoothing: float = 0.02
    ema: float = 0.995
    ema_from: int = 300
    validate_every: int = 300
    seed: int = 1
    pairings: tuple[Pairing, ...] = PAIRINGS
    sources: tuple[str, ...] = ()
    blended: float = 0.0
    degraded: float = 1.0
    sent: float = 0.0
    selected_by: str = "dfdc"
    patience: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2 or self.batch % 2:
            raise TrainingError(f"expected steps >= 1 and an even batch >= 2, received {self.steps}, {self.batch}")
        if list(self.restarts) != sorted({step for step in self.restarts if 0 < step < self.steps}):
            raise TrainingError(f"expected restarts to rise between 0 and {self.steps} steps, received {self.restarts}")
        for what, share in (("blended", self.blended), ("degraded", self.degraded), ("sent", self.sent)):
            if not 0 <= share <= 1:
                raise TrainingError(f"expected a share of pairs to be {what} in [0, 1], received {share}")
        if self.patience < 0 or (self.patience and self.selected_by == LAST):
            raise TrainingError(
                f"expected patience >= 0, and 0 where the last weights are taken, received {self.patience} and weights "
                f"selected by {self.selected_by}"
            )

    def learns_from(self, source: str) -> bool:
        """Whether faces of that collection are trained on."""
        return not self.sources or source in self.sources


NAME = "name"
"""The one key that is no number of the training: what the bundle is called."""


def read_recipe(file: Path) -> tuple[str | None, dict[str, Any]]:
    """The bundle's name, None where it is not given, and the recipe's values that the file sets.

    Raises:
        TrainingError: it cannot be read, or has a key or value that a recipe has not.
    """
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"expected a recipe at {file}, cannot read it: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"expected a recipe in TOML at {file}: {error}") from error
    name = given.pop(NAME, None)
    if name is not None and not isinstance(name, str):
        raise TrainingError(f"{file}: name: expected the bundle's name as text, received {name!r}")
    known = {field.name: field.type for field in fields(Recipe)}
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            cure = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            raise TrainingError(f"{file}: {key} is not part of a recipe; {cure}")
    try:
        recipe = TypeAdapter(Recipe).validate_python(given)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise TrainingError(f"{file}: {place}: {found['msg']}, received {found['input']!r}") from error
    return name, {key: getattr(recipe, key) for key in given}


FLOOR = 1e-5
"""Where a warm-up begins."""
_LOWEST = 0.01
"""Of the peak: where a half cosine ends."""
_AGAIN = 0.5
"""Each peak as a share of the one before."""


def learning_rate(recipe: Recipe, step: int) -> float:
    """Climbs from FLOOR to the peak, falls to a hundredth of it, and does so again after each restart.

    Args:
        recipe: steps, restarts, peak and warm-up.
        step: steps done before it, from 0 to the recipe's last.
    """
    ends = (*recipe.restarts, recipe.steps)
    cycle = min(bisect_right(ends, step), len(ends) - 1)
    begin, end = (0, *ends)[cycle], ends[cycle]
    peak = recipe.learning_rate * _AGAIN**cycle
    warmup = min(recipe.warmup_steps, (end - begin) // 4)
    done = step - begin
    if done < warmup:
        return FLOOR + (peak - FLOOR) * done / warmup
    falling = (1 + math.cos(math.pi * (done - warmup) / (end - begin - warmup))) / 2
    return peak * (_LOWEST + (1 - _LOWEST) * falling)
