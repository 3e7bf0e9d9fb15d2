"""The model bundles: their cards, which one judges, and another one to judge from now on."""

from collections.abc import Sequence

from fastapi import APIRouter

from stream_detect.api.schemas import JudgeBody, JudgeNameBody, ModelsBody
from stream_detect.app.judge import Judging


def router(judging: Judging, cards: Sequence[dict[str, object]]) -> APIRouter:
    """The routes of the bundles found at start.

    Args:
        judging: the one that judges.
        cards: each one's card as JSON.
    """
    routes = APIRouter(prefix="/api", tags=["models"])

    @routes.get("/models")
    async def models() -> ModelsBody:
        """The cards of all bundles found, and which one judges."""
        return ModelsBody(judging=judging.judge.name, models=tuple(cards))

    @routes.put("/models/judging", responses={404: {"description": "no bundle of that name"}})
    async def use(body: JudgeNameBody) -> JudgeBody:
        """Judges by another bundle from the next frames on; streams go on, their windows begin anew."""
        return await judging.use(body.name)

    return routes
