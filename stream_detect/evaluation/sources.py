"""The collections that the shipped models were trained on: titles, terms and families, for cards and reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a collection of faces.

    Args:
        title: what people call it.
        what: what it holds; empty where it is not known here.
        terms: under which it may be used.
        family: kind of manipulation of its fakes, where its table has no column family.
    """

    title: str
    what: str
    terms: str
    family: str = ""

    def __str__(self) -> str:
        return f"{self.title} ({self.what})" if self.what else self.title


OWN = "own"
"""Of files whose table names no source."""

_KNOWN = {
    OWN: Source("own files", "", "as their owners allow"),
    "dfdc": Source(
        "DFDC",
        "DeepFake Detection Challenge 2019-2020, mostly face swaps in videos",
        "research terms of the challenge",
        "dfdc",
    ),
    "fairface": Source("FairFace", "photos balanced by race and gender", "CC BY 4.0"),
    "ffhq": Source("FFHQ", "sharp portraits", "CC BY-NC-SA 4.0"),
    "sdfd_sd21": Source("SDFD", "portraits made by Stable Diffusion 2.1", "its authors' own terms", "diffusion"),
}


def source(name: str) -> Source:
    """What is known of a collection; for one that is not known here, little."""
    return _KNOWN.get(name, Source(name, "", "not known here"))


def family_of(source_name: str) -> str:
    """The family of a collection's fakes where its table names none: a known one, else the collection's own name."""
    return source(source_name).family or source_name
