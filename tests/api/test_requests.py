"""Places are counted per user if known, whatever the address, and per address otherwise."""

import asyncio

import pytest
from starlette.requests import Request

from stream_detect.access.principal import Principal
from stream_detect.api.requests import client_of
from stream_detect.app.listeners import CameraListeners
from stream_detect.types import Role

ALICE, BOB = (Principal(Role.VIEWER, "session", name) for name in ("alice", "bob"))


def request(address: str, principal: Principal | None) -> Request:
    more = {} if principal is None else {"principal": principal}
    return Request({"type": "http", "client": (address, 1), "headers": [], **more})


@pytest.mark.parametrize(
    ("address", "principal", "counted"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", Principal(Role.ADMIN, "open"), "192.0.2.1"),
        ("192.0.2.1", Principal(Role.ADMIN, "settings_token"), "192.0.2.1"),
        ("192.0.2.1", ALICE, "user alice"),
        ("192.0.2.2", Principal(Role.VIEWER, "token", "alice"), "user alice"),
    ],
)
def test_a_client_is_the_user_where_one_is_known(address, principal, counted):
    assert client_of(request(address, principal)) == counted


async def test_a_user_of_many_addresses_takes_no_place_of_others():
    listeners = CameraListeners(limit=3)
    with listeners.cameras(client_of(request("192.0.2.9", BOB))) as bobs:
        with (
            listeners.cameras(client_of(request("192.0.2.1", ALICE))) as oldest,
            listeners.cameras(client_of(request("192.0.2.2", ALICE))),
            listeners.cameras(client_of(request("192.0.2.3", ALICE))),
        ):
            async with asyncio.timeout(10):
                assert [message async for message in oldest] == []
        assert not bobs._closed
