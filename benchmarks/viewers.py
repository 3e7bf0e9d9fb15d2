"""Viewers as child processes: each runs `peer.py`, connects at once, hangs up when asked, and returns its `Record`."""

from pathlib import Path

from child import Child
from clip import Codec
from record import Record


def viewer(offer_url: str, folder: Path, codec: Codec, *, read_all: bool = False) -> Child:
    """One viewer; it says "connected" once its first picture is back, and nothing more until it leaves.

    Args:
        offer_url: where it posts its offer.
        folder: holds the clip, `clip-CODEC.npz`.
        codec: what it offers.
        read_all: read every returned picture's counter, or only the first one's.
    """
    arguments = [offer_url, str(folder / f"clip-{codec}.npz"), "--codec", codec]
    return Child("peer.py", *arguments, *(["--read-all"] if read_all else []))


def record_of(one: Child) -> Record:
    """Lets it hang up; what it saw."""
    return Record.parse(one.leave())
