"""The collections of faces that the shipped model learnt from: a name in faces.csv enters, title and terms leave."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a collection of faces.

    Args:
        title: what people call it.
        what: what it holds; empty where it is not known here.
        terms: under which it may be used.
    """

    title: str
    what: str
    terms: str

    def __str__(self) -> str:
        return f"{self.title} ({self.what})" if self.what else self.title


OWN = "own"
"""Of files whose table names no source."""

_KNOWN = {
    OWN: Source("own files", "", "whatever their owners allow"),
    "dfdc": Source(
        "DFDC", "DeepFake Detection Challenge 2019-2020, mostly face swaps in videos", "research terms of the challenge"
    ),
    "fairface": Source("FairFace", "photos balanced by race and gender", "CC BY 4.0"),
    "ffhq": Source("FFHQ", "sharp portraits", "CC BY-NC-SA 4.0"),
    "sdfd_sd21": Source("SDFD", "portraits made by Stable Diffusion 2.1", "its authors' own terms"),
}


def source(name: str) -> Source:
    """What is known of a collection; for one that is not known here, little."""
    return _KNOWN.get(name, Source(name, "", "not known here"))
