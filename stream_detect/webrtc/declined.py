"""Declines single media sections of an offer (RFC 3264, 6), so that the video in the others is answered.

aiortc cannot decline a section: it fails on one that the peer has stopped, or whose codecs it does not know. So these
are taken out of the offer that it gets, and put back into its answer with port 0.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

_CANDIDATE = "a=candidate:"
_UFRAG = "a=ice-ufrag:"
_BUNDLE = "a=group:BUNDLE"
_MID = "a=mid:"


@dataclass(frozen=True, slots=True)
class Sections:
    """A session description in parts.

    Args:
        session: lines before the first section.
        media: lines of each section, beginning with m=.
    """

    session: list[str]
    media: list[list[str]]

    @classmethod
    def of(cls, text: str) -> "Sections":
        """The parts of a session description; empty lines are left out."""
        parts: list[list[str]] = [[]]
        for line in filter(str.strip, text.splitlines()):
            if line.startswith("m="):
                parts.append([])
            parts[-1].append(line)
        return cls(parts[0], parts[1:])

    def __str__(self) -> str:
        return "".join(f"{line}\r\n" for lines in (self.session, *self.media) for line in lines)


@dataclass(frozen=True, slots=True)
class Declined:
    """What was taken out of an offer.

    Args:
        sections: lines of the answer to each declined section, by its place in the offer.
        bundled: whether the offer has a BUNDLE group; the answer must not have one otherwise (RFC 9143, 7.3).
        named: whether its sections have mids; those that we gave them are not in the answer (RFC 5888, 6).
    """

    sections: dict[int, list[str]]
    bundled: bool
    named: bool

    def answered(self, answer: str) -> str:
        """The answer of aiortc, as an answer to the whole offer."""
        parts = Sections.of(answer)
        session = [line for line in parts.session if self.bundled or not line.startswith(_BUNDLE)]
        media = [[line for line in lines if self.named or not line.startswith(_MID)] for lines in parts.media]
        for place in sorted(self.sections):
            media.insert(place, self.sections[place])
        return str(Sections(session, media))


NOTHING = Declined({}, bundled=True, named=True)
"""Of an offer that aiortc can answer as it is."""


def take_out(offer: Sections, places: Collection[int]) -> tuple[Sections, Declined]:
    """The offer without the sections that are declined; if no other one has a mid, they get one each.

    Args:
        offer: the whole offer.
        places: places of the sections to be declined.
    """
    gone = [offer.media[place] for place in sorted(places)]
    kept = [list(lines) for place, lines in enumerate(offer.media) if place not in places]
    _keep_candidates(gone, kept)
    mids = [_mid(lines) for lines in gone]
    session = [line for line in (_without(line, mids) for line in offer.session) if line != _BUNDLE]
    bundled = any(line.startswith(_BUNDLE) for line in session)
    named = not kept or any(map(_mid, kept))
    if not named:
        kept = [[*lines, f"{_MID}{number}"] for number, lines in enumerate(kept)]
    answers = {place: _answer(offer.media[place]) for place in places}
    return Sections(session, kept), Declined(answers, bundled, named)


def is_stopped(section: list[str]) -> bool:
    """Whether the peer offers a section as one that it does not use (RFC 3264, 5.1)."""
    words = section[0].split()
    return len(words) > 1 and words[1] == "0" and "a=bundle-only" not in section


def is_unknown(section: list[str]) -> bool:
    """Whether a section is of another kind than audio, video and data."""
    return section[0].split(" ")[0] in {"m=text", "m=message", "m=image"}  # the other kinds of RFC 8866, 5.14


def _answer(section: Sequence[str]) -> list[str]:
    words = section[0].split()
    words[1:2] = ["0"]
    return [" ".join(words), "c=IN IP4 0.0.0.0", "a=inactive", *(line for line in section if line.startswith(_MID))]


def _mid(section: Sequence[str]) -> str:
    return next((line.removeprefix(_MID) for line in section if line.startswith(_MID)), "")


def _without(line: str, mids: Sequence[str]) -> str:
    if not line.startswith(_BUNDLE):
        return line
    return " ".join(word for word in line.split() if word not in mids)


def _keep_candidates(gone: Sequence[list[str]], kept: Sequence[list[str]]) -> None:
    """A browser that bundles all media sends the candidates of the shared transport in the first section only."""
    if not kept or any(line.startswith(_CANDIDATE) for line in kept[0]):
        return
    for section in gone:
        if _ufrag(section) == _ufrag(kept[0]):
            kept[0].extend(line for line in section if line.startswith(_CANDIDATE))
            return


def _ufrag(section: Sequence[str]) -> str:
    return next((line for line in section if line.startswith(_UFRAG)), "")
