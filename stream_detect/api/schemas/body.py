"""What every body of a response is."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Values of a response; made once, never changed."""

    model_config = ConfigDict(frozen=True)
