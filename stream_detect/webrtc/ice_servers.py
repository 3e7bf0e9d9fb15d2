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
"""How often a server that works is tried: it costs two packets, or an allocation of a moment."""

RETRY_FIRST_S, RETRY_LAST_S = 5.0, 30.0
"""Pauses between trials of a server that does not work."""

USER = "stream-detect"
"""Stands in a username that is made of the secret, for the TURN server's log."""

_log = logging.getLogger(__name__)


def time_limited(secret: str, expiry_s: int, user: str = USER) -> tuple[str, str]:
    """A TURN credential with an end (draft-uberti-behave-turn-rest, "A REST API For Access To TURN Services").

    Args:
        secret: that the TURN server has as well (coturn's static-auth-secret).
        expiry_s: Unix time at which it ends.
        user: for the TURN server's log.

    Returns:
        The username and the password.
    """
    username = f"{expiry_s}:{user}"
    digest = hmac.digest(secret.encode(), username.encode(), "sha1")  # as the draft has it; the secret is no password
    return username, base64.b64encode(digest).decode()


@dataclass(slots=True)
class _Health:
    """What is known of one URL of a server.

    Args:
        backoff: pauses between trials while it fails.
        problem: why it does not work; empty when it does, or nobody has tried yet.
        due_s: when it is tried next, seconds of the event loop's clock.
    """

    backoff: Backoff
    problem: str = ""
    due_s: float = 0.0


class IceServers:
    """All servers of the settings. Lives on one event loop; `watch` tries them from time to time.

    Args:
        settings: the servers, and the secret of TURN credentials.
        clock: Unix time.
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
        """The servers with credentials that hold from now on, for peers."""
        return tuple(self._with_credential(server) for server in self._settings.ice_servers)

    def all(self) -> list[Server]:
        """Every URL with the credential that holds now, in the order of the settings."""
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
        """Those of a kind ("stun", "turn") that are not known to be out of order, in the order of the settings.

        Where nobody watches, one that failed is tried again when its pause is over.
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
        """What is wrong with servers now, in sentences."""
        return tuple(health.problem for health in self._health.values() if health.problem)

    def note(self, server: Server, problem: str) -> None:
        """A server worked (an empty problem), or did not; what changed is logged.

        Args:
            server: that was used.
            problem: why it did not work, in words.
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
        """Tries each server at once and then from time to time, until it is cancelled."""
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
    """Tries every server once, all at the same time, and returns what is wrong with them in sentences.

    Args:
        settings: the servers.
    """
    servers = IceServers(settings)
    outcomes = await asyncio.gather(*(try_server(server) for server in servers.all()), return_exceptions=True)
    unforeseen = [one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, IceServerError)]
    if unforeseen:
        raise unforeseen[0]
    return [str(outcome) for outcome in outcomes if outcome is not None]
