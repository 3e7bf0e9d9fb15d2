"""Routes of the model bundles: their cards, the one in use, and switching to another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from stream_detect.api.audit_middleware import say
from stream_detect.api.schemas import JudgeBody, JudgeNameBody, ModelsBody

if TYPE_CHECKING:
    from stream_detect.app.model_in_use import ModelInUse


def router(model: "ModelInUse", cards: Sequence[dict[str, object]]) -> APIRouter:
    """The routes of the bundles found at start.

    Args:
        model: the one in use.
        cards: each bundle's card as JSON.
    """
    routes = APIRouter(prefix="/api", tags=["models"])

    @routes.get("/models")
    async def models() -> ModelsBody:
        """The cards of all bundles found, and the name of the one in use."""
        return ModelsBody(judging=model.judge.name, models=tuple(cards))

    @routes.put(
        "/models/judging",
        responses={404: {"description": "no bundle of that name"}, 500: {"description": "the bundle is broken"}},
    )
    async def use(body: JudgeNameBody, request: Request) -> JudgeBody:
        """Uses another bundle from the next frames on; streams go on, with empty windows."""
        say(request, target=body.name)
        return await model.use(body.name)

    return routes
