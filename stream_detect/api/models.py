"""The model bundles: their cards, and which one judges."""

from collections.abc import Sequence

from fastapi import APIRouter

from stream_detect.api.schemas import ModelsBody


def router(judging: str, cards: Sequence[dict[str, object]]) -> APIRouter:
    """The route of the bundles found at start.

    Args:
        judging: name of the one that judges.
        cards: each one's card as JSON.
    """
    routes = APIRouter(prefix="/api", tags=["models"])
    body = ModelsBody(judging=judging, models=tuple(cards))

    @routes.get("/models")
    async def models() -> ModelsBody:
        """The cards of all bundles found, and which one judges."""
        return body

    return routes
