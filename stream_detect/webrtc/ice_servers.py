"""The STUN and TURN servers of the settings: their current credentials, and which of them work.

A server that fails is not used for new sessions until it works again, so that it delays none of them; the reason is in
the log and in /api/status.
"""

import asyncio
import base64
import hmac
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from stream_detect.backoff import Backoff
from stream_detect.errors import IceServerError
from stream_detect.settings import IceServer, WebRtcSettings, ice_address
from stream_detect.webrtc.aiortc_private.stun_turn import ANSWER_S, Server, try_server

CHECK_EVERY_S = 60.0
"""Interval at which a working server is tested: it costs two packets, or a short allocation."""

RETRY_FIRST_S, RETRY_LAST_S = 5.0, 30.0
"""Pauses between tests of a failing server."""

USER = "stream-detect"
"""User name in credentials derived from the secret, for the log of the TURN server."""

_log = logging.getLogger(__name__)


def time_limited(secret: str, expiry_s: int, user: str = USER) -> tuple[str, str]:
    """A time-limited TURN credential (draft-uberti-behave-turn-rest, "A REST API For Access To TURN Services").

    Args:
        secret: shared with the TURN server (coturn's static-auth-secret).
        expiry_s: expiry in unix seconds.
        user: name for the TURN server's log.

    Returns:
        The username and the password.
    """
    username = f"{expiry_s}:{user}"
    digest = hmac.digest(secret.encode(), username.encode(), "sha1")  # as in the draft; the secret is not a password
    return username, base64.b64encode(digest).decode()


@dataclass(slots=True)
class _Health:
    """State of one URL of a server.

    Args:
        backoff: pauses between trials while it fails.
        problem: why it does not work; empty if it does, or was not tested yet.
        due_s: time of the next test, in seconds of the event loop's clock.
    """

    backoff: Backoff
    problem: str = ""
    due_s: float = 0.0


class IceServers:
    """All servers in the settings. Used on one event loop; `watch` tests them from time to time.

    Args:
        settings: the servers, and the secret for TURN credentials.
        clock: returns unix seconds.
    """

    def __init__(self, settings: WebRtcSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._health = {
            url: _Health(Backoff(RETRY_FIRST_S, RETRY_LAST_S, CHECK_EVERY_S, random.random))
            for server in settings.ice_servers
            for url in server.urls
        }
        self._changed = asyncio.Event()

    def for_clients(self) -> tuple[IceServer, ...]:
        """The servers with new credentials, for peers."""
        return tuple(self._with_credential(server) for server in self._settings.ice_servers)

    def all(self) -> list[Server]:
        """Every URL with its current credential, in the order of the settings."""
        return [
            Server(
                url,
                ice_address(url),
                server.username,
                None if server.credential is None else server.credential.get_secret_value(),
            )
            for server in self.for_clients()
            for url in server.urls
        ]

    def usable(self, kind: str) -> Sequence[Server]:
        """Servers of a kind ("stun", "turn") that are not known to fail, in the order of the settings.

        Without `watch`, a failed one is tried again after its pause.
        """
        now_s = asyncio.get_running_loop().time()
        return [
            one
            for one in self.all()
            if one.address.kind == kind
            and (not (health := self._health[one.url]).problem or health.due_s + ANSWER_S < now_s)
        ]

    @property
    def problems(self) -> tuple[str, ...]:
        """Current problems of servers, one sentence each."""
        return tuple(health.problem for health in self._health.values() if health.problem)

    def note(self, server: Server, problem: str) -> None:
        """Records that a server worked (an empty problem) or failed; changes are logged.

        Args:
            server: the server.
            problem: why it did not work.
        """
        health = self._health[server.url]
        if problem and problem != health.problem:
            _log.warning("ICE server %s", problem)
        elif health.problem and not problem:
            _log.info("ICE server %s works again", server.url)
        if not problem:
            health.backoff.reset()
        pause_s = health.backoff.pause_s(0.0) if problem else CHECK_EVERY_S
        health.problem, health.due_s = problem, asyncio.get_running_loop().time() + pause_s
        self._changed.set()

    async def watch(self) -> None:
        """Tests each server at once and then from time to time, until cancelled."""
        loop = asyncio.get_running_loop()
        while self._health:
            due = [server for server in self.all() if self._health[server.url].due_s <= loop.time()]
            await asyncio.gather(*(self._try(server) for server in due))
            next_s = min(health.due_s for health in self._health.values())
            self._changed.clear()
            try:
                async with asyncio.timeout_at(next_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _try(self, server: Server) -> None:
        try:
            await try_server(server)
        except IceServerError as error:
            self.note(server, str(error))
        else:
            self.note(server, "")

    def _with_credential(self, server: IceServer) -> IceServer:
        secret = self._settings.turn_secret
        if secret is None or server.username is not None or not server.relays:
            return server
        expiry_s = int(self._clock() + self._settings.turn_credential_s)
        username, password = time_limited(secret.get_secret_value(), expiry_s)
        return server.model_copy(update={"username": username, "credential": SecretStr(password)})


async def trouble(settings: WebRtcSettings) -> list[str]:
    """Tests every server once, in parallel, and returns their problems in sentences.

    Args:
        settings: the servers.
    """
    servers = IceServers(settings)
    outcomes = await asyncio.gather(*(try_server(server) for server in servers.all()), return_exceptions=True)
    unforeseen = [one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, IceServerError)]
    if unforeseen:
        raise unforeseen[0]
    return [str(outcome) for outcome in outcomes if outcome is not None]
