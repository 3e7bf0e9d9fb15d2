"""The card of a bundle, `card.json`: the input and output of a model, its data, and its measured accuracy.

Nothing about a model is stated anywhere else. The parts of the contract are converted to the values of `types`.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stream_detect import types

_DECIDING: dict[str, Any] = {
    **dict.fromkeys(("input", "crop", "output", "precision", "int8", "sha256"), True),
    "calibration": {"slope", "intercept"},
    "thresholds": {"fake_enter", "fake_leave", "real_enter", "real_leave"},
}
"""The parts of a card on which answers depend; the others describe the model."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
BundleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CardPart(BaseModel):
    """A part of the card: strict, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NetworkInput(CardPart):
    """The network's input: crop pixels * scale + offset, in this colour order, (n, h, w, 3) float32."""

    width_px: Annotated[int, Field(ge=16, le=1024)]
    height_px: Annotated[int, Field(ge=16, le=1024)]
    colour_order: Literal["RGB", "BGR"] = "RGB"
    scale: Annotated[float, Field(gt=0)] = 1 / 255
    offset: float = 0.0


class Crop(CardPart):
    """How the face is cut out (`types.CropPolicy`)."""

    centre: Literal["nose", "box"] = "nose"
    side: Literal["landmarks", "box"] = "landmarks"
    side_factor: Annotated[float, Field(gt=0.5, lt=10)] = 2.86
    upright: bool = True


class Output(CardPart):
    """What the network's output (n, k) means."""

    means: Literal["fake", "real"] = Field(description="what a value of 1 says: MesoNet's says real")
    index: Annotated[int, Field(ge=0)] = 0


class PlattScaling(CardPart):
    """Platt scaling on the logit of fake_probability (`types.Calibration`)."""

    slope: Annotated[float, Field(gt=0)] = 1.0
    intercept: float = 0.0
    fitted_on: str = Field(default="", description="which data the two numbers come from; empty: not calibrated")


class WindowThresholds(CardPart):
    """Hysteresis of the verdict on the window's calibrated fake_probability (`types.Thresholds`)."""

    fake_enter: Share = 0.8
    fake_leave: Share = 0.6
    real_enter: Share = 0.2
    real_leave: Share = 0.4
    rule: str = Field(default="", description="by which they were chosen; empty: they were not chosen on data")
    fitted_on: str = Field(default="", description="which people they were chosen on")

    @model_validator(mode="after")
    def _ordered(self) -> "WindowThresholds":
        if not self.real_enter < self.real_leave <= self.fake_leave < self.fake_enter:
            raise ValueError(
                "expected real_enter < real_leave <= fake_leave < fake_enter, received "
                f"{self.real_enter}, {self.real_leave}, {self.fake_leave}, {self.fake_enter}"
            )
        return self


class TrainingSource(CardPart):
    """One collection of faces in the training data, or the fakes of one family in it."""

    source: str = Field(description="its name in the table of faces")
    title: str
    family: str = Field(default="", description="kind of manipulation of its fakes; empty: real faces")
    faces: Annotated[int, Field(ge=0)]
    terms: str = Field(description="its licence")


class Training(CardPart):
    """Where the weights come from and who may use them."""

    data: str
    sources: tuple[TrainingSource, ...] = Field(default=(), description="the data by collection and family")
    terms: str = Field(description="licence and conditions of use of these weights")
    recipe: str = Field(description="the command that makes them")
    never_shown: tuple[str, ...] = Field(default=(), description="kinds of fakes that it did not learn from")


class Metric(CardPart):
    """One measured figure, with the 95 % interval of a bootstrap by group if it has one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    data: str = Field(description="what it was measured on")
    n: Annotated[int, Field(ge=1)] = Field(description="number of faces, clips or seconds")
    threshold: Share | None = Field(default=None, description="fake_probability at which it was counted")
    family: str = Field(default="", description="kind of manipulation of the fakes that it was measured on; empty: all")
    generator: str = Field(default="", description="what made those fakes; empty: all of the family")


class Card(CardPart):
    """A model's contract and record."""

    name: BundleName
    title: str
    version: str
    architecture: str
    input: NetworkInput
    crop: Crop = Crop()
    output: Output
    calibration: PlattScaling = PlattScaling()
    thresholds: WindowThresholds = WindowThresholds()
    precision: Literal["f32", "bf16"] = Field(
        default="f32", description="bf16: measured to bear it, and served in it by processors that compute in it"
    )
    int8: bool = Field(
        default=False,
        description="model-int8.xml is there and was measured to be borne; served by processors with VNNI",
    )
    training: Training
    limits: tuple[str, ...] = Field(description="what the model is known not to do, in sentences for the page")
    metrics: tuple[Metric, ...] = ()
    sha256: dict[str, Sha256] = Field(description="of every other file of the bundle, by name")

    @property
    def contract_sha256(self) -> str:
        """Sha256 of everything on which answers depend, in hexadecimal: the files, and how they are used.

        Bundles with the same weights may differ in calibration, thresholds or crop.
        """
        deciding = self.model_dump(mode="json", include=_DECIDING)
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    def crop_policy(self) -> types.CropPolicy:
        """The crop policy of this model."""
        return types.CropPolicy(
            wh=(self.input.width_px, self.input.height_px),
            centre=self.crop.centre,
            side=self.crop.side,
            side_factor=self.crop.side_factor,
            upright=self.crop.upright,
        )

    def platt(self) -> types.Calibration:
        """The calibration of the model's fake_probability."""
        return types.Calibration(self.calibration.slope, self.calibration.intercept)

    def hysteresis(self) -> types.Thresholds:
        """The thresholds at which the verdict changes."""
        at = self.thresholds
        return types.Thresholds(at.fake_enter, at.fake_leave, at.real_enter, at.real_leave)
