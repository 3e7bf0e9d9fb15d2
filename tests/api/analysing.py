"""Helpers for analyses of uploads over HTTP: parts of a form, and common requests."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.files import files_in
from tests.patience import until

if TYPE_CHECKING:
    from tests.api.conftest import Inside

BOUNDARY = "b0undary"
TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
REVIEW = {"min_free_bytes": 0, "max_upload_bytes": 300_000}


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def upload(inside: "Inside", content: bytes, name: str = "clip.mp4", **fields: Any) -> dict[str, Any]:
    answer = inside.client.post("/api/analyses", files={"file": (name, content)}, data=fields)
    assert answer.status_code == 202, answer.text
    return answer.json()["items"][0]


def ended(inside: "Inside", analysis: dict[str, Any]) -> dict[str, Any]:
    def now() -> dict[str, Any] | None:
        found = inside.client.get(f"/api/analyses/{analysis['id']}").json()
        return None if found["ended_s"] is None else found

    return until(now)


def kept(inside: "Inside") -> list[Path]:
    """All files in the folder."""
    return files_in(inside.analyses.library._path)
