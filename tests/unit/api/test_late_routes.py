"""Late routes are added once, by whoever asks for one of them first, and unknown paths stay unknown."""

import asyncio

import httpx2
from fastapi import APIRouter, FastAPI

from service.api.late_routes import LateRoutes


def _api() -> FastAPI:
    api = FastAPI(openapi_url=None)
    api.state.late_routes = LateRoutes(api.router, [__name__])
    return api


router = APIRouter()


@router.get("/late")
async def _late() -> str:
    return "here"


def test_requests_that_come_together_add_late_routes_once() -> None:
    """Of many requests at once each is served, and no route stands twice; a path that nobody has is a 404."""
    api = _api()

    async def ask() -> list[int]:
        transport = httpx2.ASGITransport(app=api)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            paths = ["/late", "/nothing"] * 8
            answers = await asyncio.gather(*(client.get(path) for path in paths))
        return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [200, 404] * 8
    assert len(api.routes) == len(router.routes)


def test_late_routes_can_be_added_before_anybody_asks() -> None:
    """Adding them twice is adding them once."""
    api = _api()
    assert api.routes == []
    for _ in range(2):
        api.state.late_routes.add()
    assert api.routes == router.routes
