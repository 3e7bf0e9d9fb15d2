"""What every part of the settings is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values do not change after start."""

    model_config = ConfigDict(extra="forbid", frozen=True)
