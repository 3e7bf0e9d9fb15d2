"""The base class of all sections of the settings."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

Share = Annotated[float, Field(ge=0.0, le=1.0)]


def _not_empty(secret: SecretStr) -> SecretStr:
    if not secret.get_secret_value():
        raise ValueError("expected a secret, received an empty one; leave the setting out if there is none")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_not_empty)]
"""A key or password. An empty one is a variable that was not filled in; what it signs, everybody can sign."""

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
