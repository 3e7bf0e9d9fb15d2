"""How analyses go on: changes enter from any thread, each listener's newest leaves, to the analysis's end."""

import contextlib
import threading
from collections.abc import Iterator

from stream_detect.api.live import MAX_LISTENERS, RETRY_AFTER_S, Mailbox, Message
from stream_detect.api.schemas.analyses import AnalysisBody
from stream_detect.errors import CapacityError
from stream_detect.storage.records import Analysis


class Following:
    """Listeners of all analyses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[str, dict[Mailbox, bool]] = {}  # with whether anything was told to it
        self._closed = False

    @contextlib.contextmanager
    def analysis(self, analysis_id: str) -> Iterator[Mailbox]:
        """Listens to one; on the event loop.

        Raises:
            CapacityError: there are too many listeners, or the server is closing.
        """
        mailbox = Mailbox()
        with self._lock:
            if self._closed or sum(map(len, self._of.values())) >= MAX_LISTENERS:
                raise CapacityError("all places to follow analyses are taken; try again later", RETRY_AFTER_S)
            self._of.setdefault(analysis_id, {})[mailbox] = False
        try:
            yield mailbox
        finally:
            with self._lock:
                self._of[analysis_id].pop(mailbox)
                if not self._of[analysis_id]:
                    del self._of[analysis_id]

    def begin(self, mailbox: Mailbox, analysis: Analysis) -> None:
        """Tells a new listener how it is, unless it has heard of something newer."""
        with self._lock:
            if not self._of[analysis.id][mailbox]:
                _tell(mailbox, analysis)

    def tell(self, analysis: Analysis) -> None:
        """It changed."""
        with self._lock:
            listeners = self._of.get(analysis.id, {})
            for mailbox in listeners:
                listeners[mailbox] = True
                _tell(mailbox, analysis)

    def close(self) -> None:
        """Ends all listening at once, and admits no more."""
        with self._lock:
            self._closed = True
            for listeners in self._of.values():
                for mailbox in listeners:
                    mailbox.close()


def _tell(mailbox: Mailbox, analysis: Analysis) -> None:
    body = AnalysisBody.of(analysis)
    mailbox.put("progress", Message("progress", body.model_dump_json()))
    if analysis.ended:
        mailbox.close()
