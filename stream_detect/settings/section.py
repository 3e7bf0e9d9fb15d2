"""The base class of all sections of the settings."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]

_Sections = TypeVar("_Sections", bound="Section")


class Section(BaseModel):
    """A section of the settings, or several: unknown keys are errors, and values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def only(self, sections: type[_Sections]) -> _Sections:
        """The sections that a room uses.

        Args:
            sections: model with these sections as fields, with the same names as here.
        """
        return sections(**{name: getattr(self, name) for name in sections.model_fields})
