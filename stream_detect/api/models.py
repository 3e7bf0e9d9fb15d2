"""Routes of the model bundles: their cards, the one in use, and switching to another."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field

from stream_detect.api.middleware.audit import say
from stream_detect.api.schemas import Body
from stream_detect.api.schemas.status import JudgeBody

if TYPE_CHECKING:
    from stream_detect.app.model_in_use import ModelInUse


class ModelsBody(Body):
    """All bundles found."""

    judging: str = Field(description="name of the model in use")
    models: tuple[dict[str, object], ...] = Field(description="each bundle's card")


class JudgeNameBody(Body):
    """The model to use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=64, description="name of the bundle")


def router(model: "ModelInUse", cards: Callable[[], Sequence[dict[str, object]]]) -> APIRouter:
    """The routes of the bundles.

    Args:
        model: the model in use.
        cards: reads each bundle's card, as JSON; blocks.
    """
    routes = APIRouter(prefix="/api", tags=["models"])

    @routes.get("/models", responses={500: {"description": "the folder of bundles cannot be read"}})
    async def models() -> ModelsBody:
        """The cards of all bundles found, and the name of the one in use."""
        found = await asyncio.to_thread(cards)
        return ModelsBody(judging=model.judge.name, models=tuple(found))

    @routes.put(
        "/models/judging",
        responses={
            404: {"description": "no bundle has this name"},
            500: {"description": "the bundle cannot be loaded"},
        },
    )
    async def use(body: JudgeNameBody, request: Request) -> JudgeBody:
        """Switches to another bundle from the next frames on; streams continue, with empty windows."""
        say(request, target=body.name)
        return await model.use(body.name)

    return routes
