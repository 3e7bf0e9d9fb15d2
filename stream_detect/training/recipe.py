"""The recipe of a training: all hyperparameters, with their reasons."""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Literal

from stream_detect.errors import TrainingError
from stream_detect.evaluation.dataset import Row


class RecipeValueError(TrainingError):
    """A recipe contains an invalid value.

    Args:
        key: key of the recipe or the pairing.
        message: what was expected and received.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class Pairing:
    """Sources of the fake and the real face of a pair.

    Args:
        share: share of all pairs that are not blended; the shares of a recipe need not add up to 1.
        fake: source of the fake; None for any.
        real: source of the real face, or several; None for any.
        same_group: True uses only fakes that have a real face of their group, from the same video: same person, camera
            and light, so that only the manipulation separates the two. "preferred" pairs a fake so if possible.
        family: family of the fake; None for any.
        same_source: of the fakes paired outside their group, the share in [0, 1] paired with a real face of their own
            source, if it has any.
        origin: its file and line, for messages.
    """

    share: float
    fake: str | None = None
    real: str | tuple[str, ...] | None = None
    same_group: bool | Literal["preferred"] = False
    family: str | None = None
    same_source: float = 0.0
    origin: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.share < math.inf:
            raise RecipeValueError("share", f"expected a pairing's share above 0, received {self.share}")
        if not 0 <= self.same_source <= 1:
            raise RecipeValueError("same_source", f"expected same_source in [0, 1], received {self.same_source}")
        if self.same_source and self.same_group is True:
            raise RecipeValueError(
                "same_source",
                'expected same_source with same_group = false or "preferred": true leaves none to pair so',
            )

    @property
    def reals(self) -> tuple[str, ...]:
        """Sources of the real face; empty for any."""
        return (self.real,) if isinstance(self.real, str) else self.real or ()


PAIRINGS = (
    Pairing(0.84, "dfdc", "dfdc", same_group=True),
    # Stills are few: enough to learn them, too few to memorise them.
    Pairing(0.09, "sdfd_sd21", "ffhq"),
    # Photos of many people, against false alarms on faces unlike DFDC's actors.
    Pairing(0.049, "dfdc", "fairface"),
    Pairing(0.021, "sdfd_sd21", "fairface"),
)
"""Pairings of a recipe without any; those that find no faces are dropped."""
LAST = "last"
"""`selected_by` of a training that chooses no checkpoint."""
ALL = "all"
"""`selected_by` of a training that chooses by all validation faces."""
ANY_PAIRING = Pairing(1.0)
"""Used for data without any source of the default pairings."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Parameters of a training.

    Args:
        architecture: name of the network.
        steps: number of batches; 4,500 batches of 64 show each DFDC pair about 13 times.
        batch: faces per batch, an even number: pairs of a real and a fake face.
        learning_rate: peak of the optimizer's learning rate; decays to a hundredth along half a cosine.
        restarts: steps, increasing, after which it climbs to half of the previous peak and decays again (SGDR,
            Loshchilov and Hutter 2017, arXiv:1608.03983), for a training that has more to learn.
        cycle_share: share of the weights after the last restart in those that are measured and saved; the rest are the
            weights at the end of the cycle before (averaged in the same way). 1 for the last ones alone. The average of
            two cycles generalises better than each (Izmailov et al. 2018, arXiv:1803.05407): with .4, the held-out AUC
            of lite0-faces is .970; its two cycles have .965 and .966.
        warmup_steps: steps until the peak, at most a quarter of all steps.
        dropout: rate; .3 instead of the published .5, because the degradations regularise already.
        label_smoothing: keeps logits moderate, so that the calibration works.
        ema: decay of the moving average of the weights, which is measured and saved.
        ema_from: first step of the average; earlier weights are useless.
        validate_every: steps between measurements; batch normalisation needs some hundred steps before the first one is
            meaningful.
        seed: seed of all random numbers.
        pairings: composition of a batch.
        sources: collections to train on; empty for all.
        blended: share of pairs whose fake is made from the real face (blending.py).
        degraded: share of pairs that are degraded like webcams, calls and re-uploads.
        sent: share of pairs that go through a real H.264 or VP8 encoder at a call's bitrate.
        selected_by: source or family whose validation AUC chooses the best checkpoint, if it has real and fake faces (a
            family's fakes are measured against all real faces); "all" chooses by all faces, as does a source with faces
            of one kind only; "last" keeps the last weights.
        patience: validations without a new best AUC after which the training ends; 0 never ends it early. Validations
            while the figures are still warming up count too: with `validate_every` 300, some 5 are sensible.
        initial: initial weights: "random", or "imagenet", the published weights of the architecture. From ImageNet,
            EfficientNet-Lite0 needs a quarter of the faces that streamnet needs from scratch.
        optimizer: "adam", or "adamw" (Loshchilov and Hutter 2019, arXiv:1711.05101), with `weight_decay`.
        weight_decay: of kernels per step, times the learning rate; not of biases and normalisations.
        gradient_norm: largest norm of all gradients together, to which larger ones are scaled down; 0 for no limit.
        balance: "faces" draws every face of a pairing equally often. "families" draws families equally often and,
            within a family and among real faces, a source in proportion to the square root of its number of faces:
            small collections of rare generators count, but are not memorised.
        leave_out: families whose fakes are not used, to measure how the model generalises to them.
        blended_with_other: share of the blended fakes that use another person's face of similar pose and colour; the
            others blend a changed copy of the face into itself.
        levelled: share of the pairs of two groups in which the sharper face is blurred towards the other: collected
            fakes are softer than collected real faces, and that must not give them away.
        data_format: memory layout of activations. Which is faster depends on backend and processor; `make
            bench-training` measures it.
        precision: "float32", or "mixed_bfloat16", which computes in bf16 and keeps weights in f32: faster on GPUs, and
            on some processors with AVX512-BF16 or AMX.
    """

    architecture: str = "meso4"
    steps: int = 4500
    batch: int = 64
    learning_rate: float = 1e-3
    restarts: tuple[int, ...] = ()
    cycle_share: float = 1.0
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
    initial: Literal["random", "imagenet"] = "random"
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    gradient_norm: float = 0.0
    balance: Literal["faces", "families"] = "faces"
    leave_out: tuple[str, ...] = ()
    blended_with_other: float = 0.0
    levelled: float = 0.0
    data_format: Literal["channels_last", "channels_first"] = "channels_last"
    precision: Literal["float32", "mixed_bfloat16"] = "float32"

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2 or self.batch % 2:
            raise RecipeValueError(
                "steps" if self.steps < 1 else "batch",
                f"expected steps >= 1 and an even batch >= 2, received {self.steps}, {self.batch}",
            )
        if self.warmup_steps < 0 or self.validate_every < 1 or self.ema_from < 0:
            raise RecipeValueError(
                "validate_every"
                if self.validate_every < 1
                else "warmup_steps"
                if self.warmup_steps < 0
                else "ema_from",
                "expected warmup_steps >= 0, ema_from >= 0 and validate_every >= 1, received "
                f"{self.warmup_steps}, {self.ema_from}, {self.validate_every}",
            )
        self._check_cycles()
        self._check_shares()
        self._check_optimizer()
        if not self.pairings:
            raise RecipeValueError("pairings", "expected one pairing or more, received none")
        if self.patience < 0 or (self.patience and self.selected_by == LAST):
            raise RecipeValueError(
                "patience",
                f"expected patience >= 0, and 0 where the last weights are taken, received {self.patience} and weights "
                f"selected by {self.selected_by}",
            )

    def _check_cycles(self) -> None:
        if list(self.restarts) != sorted({step for step in self.restarts if 0 < step < self.steps}):
            raise RecipeValueError(
                "restarts", f"expected restarts to rise between 0 and {self.steps} steps, received {self.restarts}"
            )
        if not 0 < self.cycle_share <= 1:
            raise RecipeValueError("cycle_share", f"expected a cycle_share in (0, 1], received {self.cycle_share}")
        if self.cycle_share < 1 and (
            not self.restarts or self.ema_from >= self.restarts[0] or self.selected_by != LAST
        ):
            raise RecipeValueError(
                "cycle_share",
                'expected cycle_share below 1 only with restarts after ema_from and selected_by = "last", received '
                f"restarts {self.restarts}, ema_from {self.ema_from} and weights selected by {self.selected_by}",
            )

    def _check_shares(self) -> None:
        for key in ("blended", "degraded", "sent", "levelled"):
            if not 0 <= (share := getattr(self, key)) <= 1:
                raise RecipeValueError(key, f"expected a share of pairs to be {key} in [0, 1], received {share}")
        if not 0 <= self.blended_with_other <= 1 or (self.blended_with_other and not self.blended):
            raise RecipeValueError(
                "blended_with_other",
                "expected blended_with_other in [0, 1], a share of the blended pairs, and blended above 0, received "
                f"{self.blended_with_other} and {self.blended}",
            )
        for key in ("dropout", "label_smoothing", "ema"):
            if not 0 <= (share := getattr(self, key)) < 1:
                raise RecipeValueError(key, f"expected {key} in [0, 1), received {share}")

    def _check_optimizer(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise RecipeValueError("learning_rate", f"expected a learning_rate above 0, received {self.learning_rate}")
        if not 0 <= self.gradient_norm < math.inf:
            raise RecipeValueError(
                "gradient_norm", f"expected a gradient_norm of 0 (no limit) or more, received {self.gradient_norm}"
            )
        if not 0 <= self.weight_decay < 1 or (self.weight_decay and self.optimizer != "adamw"):
            raise RecipeValueError(
                "weight_decay",
                f'expected weight_decay in [0, 1), and optimizer = "adamw" where it is not 0, received '
                f"{self.weight_decay} and {self.optimizer}",
            )

    def learns_from(self, source: str) -> bool:
        """Whether faces of that collection are used."""
        return not self.sources or source in self.sources

    def learns(self, row: Row) -> bool:
        """Whether a training face is used; fakes are not if all are made by blending."""
        return (
            self.learns_from(row.source)
            and row.family not in self.leave_out
            and (self.blended < 1 or row.label == "real")
        )


FLOOR = 1e-5
"""Start of a warm-up."""
_LOWEST = 0.01
"""End of a half cosine, as a share of the peak."""
_AGAIN = 0.5
"""Each peak as a share of the previous one."""


def learning_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step: from FLOOR to the peak, down to a hundredth of it, and again after each restart.

    Args:
        recipe: steps, restarts, peak and warm-up.
        step: number of previous steps, from 0 to the recipe's last.
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
