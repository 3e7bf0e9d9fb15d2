"""The examiner: does the jobs of the child process within limits, and sends their results to the parent."""

import errno
import json
import os
import queue
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from stream_detect.errors import MediaError, StreamDetectError
from stream_detect.jobs.child import ERROR, LAST, OPENING, RESULT, Link
from stream_detect.jobs.sandbox import MemoryLimit, limit_processor_time, memory_bytes
from stream_detect.media.planes import reuse_frame_memory
from stream_detect.models.registry import Registry
from stream_detect.review.annotated_video import StoredResults, annotate
from stream_detect.review.examination import Hooks, examine
from stream_detect.review.models import ExaminationSettings, ReviewModelLoader
from stream_detect.review.packing import pack
from stream_detect.sources.stills import HEAD_BYTES, is_still

_LEFT_BEHIND_BYTES = 256 << 20
"""If a job leaves this much more memory in use than after loading the models, the process ends, and the next one starts
without it."""

_BESIDE_RUN_S = 60.0
"""Processor time allowed beyond `review.max_run_s` on all threads of a job."""

_TOO_MUCH = "decoding it takes more memory than review.memory_bytes allows"
_NO_MEMORY = os.strerror(errno.ENOMEM)


class Examiner:
    """Runs jobs.

    Args:
        link: connection to the parent.
        settings: values of `ExaminationSettings`.
    """

    def __init__(self, link: Link, settings: Mapping[str, Any]) -> None:
        cv2.setNumThreads(1)  # the steps of a review already run on separate threads
        reuse_frame_memory()
        self._link = link
        self._settings = ExaminationSettings.model_validate(settings)
        self._loader = ReviewModelLoader(Registry.of(self._settings.model.folder), self._settings)
        self._least_bytes: int | None = None

    def serve(self, idle_s: float) -> None:
        """Runs jobs until there was none for `idle_s`."""
        while True:
            try:
                job = self._link.jobs.get(timeout=idle_s)
            except queue.Empty:
                return
            kind, content = self._outcome(job)
            # Sent before the result, after which the parent may send the next job at once.
            last = self._is_swollen()
            if last:
                self._link.send(LAST)
            self._link.send(kind, content)
            if last:
                return

    def _outcome(self, job: dict[str, Any]) -> tuple[bytes, bytes]:
        """The kind and content of the message that ends a job."""
        try:
            return RESULT, self._done(job)
        except StreamDetectError as error:
            return ERROR, self._failure(error, str(error))
        except MemoryError:
            return ERROR, self._failure(MediaError(), _TOO_MUCH)
        except Exception as error:  # noqa: BLE001 - the process's edge: the parent writes it to the log
            return ERROR, self._failure(error, traceback.format_exc())

    def _done(self, job: dict[str, Any]) -> bytes:
        hooks, file = self._hooks(), Path(job["file"])
        if job["kind"] == "annotate":
            self._limit(file)
            annotate(file, Path(job["to"]), self._stored(job), self._settings, hooks)
            return b""
        models = self._loader.load(job["models"])
        self._limit(file)
        return pack(examine(file, models, job["rate_hz"], hooks))

    def _stored(self, job: Mapping[str, Any]) -> StoredResults:
        return StoredResults.read(Path(job["results"]), job["model"], self._settings.window)

    def _hooks(self) -> Hooks:
        link = self._link
        return Hooks(link.note_share, link.is_stopped, rested_s=lambda: link.rested_s)

    def _limit(self, file: Path) -> None:
        """Allows little memory until the first packet is requested: then the container is open, and decoding begins."""
        self._link.send(OPENING)
        review = self._settings.review
        limit = MemoryLimit(review.memory_bytes)
        if self._least_bytes is None:
            self._least_bytes = memory_bytes()[0]
        limit_processor_time(review.max_run_s * (review.threads + 2) + _BESIDE_RUN_S)
        if _is_still(file):
            limit.decode()
        else:
            limit.open_container()
            self._link.on_first_sign = limit.decode

    def _failure(self, error: Exception, text: str) -> bytes:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        if _NO_MEMORY in text and isinstance(error, MediaError):
            text = _TOO_MUCH
        self._link.on_first_sign = lambda: None
        return json.dumps({"kinds": kinds, "text": text}).encode()

    def _is_swollen(self) -> bool:
        least_bytes = self._least_bytes
        return least_bytes is not None and memory_bytes()[0] > least_bytes + _LEFT_BEHIND_BYTES


def _is_still(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return is_still(opened.read(HEAD_BYTES))
    except OSError:  # reported when the file is opened
        return False
