"""The schemas of the routes (docs/protocol.md), and the base class of response bodies. pydantic is used for HTTP only.

Bodies that one module of routes uses alone are beside its routes.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
"""A probability, or a share."""


class Body(BaseModel):
    """Values of a response, immutable."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)
