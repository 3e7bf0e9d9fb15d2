"""Results of an analysis as those of another one of the same bytes: whose they are changes, at their beginning."""

import json
from collections.abc import Iterator

from stream_detect.review.reviewed import file_json
from stream_detect.storage.records import Upload

_BEGINNING = ("id", "file")


def with_head(results: str, analysis_id: str, upload: Upload) -> Iterator[bytes]:
    """The results with another id and file, in parts; the rest, which may be long, is not read.

    Args:
        results: JSON that begins with the id and the file.
        analysis_id: theirs from now on.
        upload: likewise.
    """
    decoder, at = json.JSONDecoder(), 1
    for key in _BEGINNING:
        beginning = f'"{key}": '
        _, at = decoder.raw_decode(results, results.index(beginning, at) + len(beginning))
    yield f'{{"id": {json.dumps(analysis_id)}, "file": {json.dumps(file_json(upload), ensure_ascii=False)}'.encode()
    yield results[at:].encode()
