"""Downloads the weights that MesoNet's authors published, and checks their sha256.

An interrupted transfer is resumed, in the same call and in the next one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from stream_detect.errors import BundleError
from stream_detect.models.bundle import read_card, sha256_of, write_card

HOST = "https://raw.githubusercontent.com"
OWNER = "DariusAf"
REPOSITORY = "MesoNet"
COMMIT = "f3aa786e8f87e0894dcf36f6dba2f77a25293566"
FOLDER = "weights"
ORIGIN = f"{HOST}/{OWNER}/{REPOSITORY}/{COMMIT}/{FOLDER}"

LICENCE = (
    "MesoNet, Apache-2.0; copyright 2018 Darius Afchar, Vincent Nozick, National Institute of Informatics. "
    f"Weights of github.com/{OWNER}/{REPOSITORY} at {COMMIT[:12]}; Afchar et al. 2018, arXiv:1809.00888."
)

ATTEMPTS = 5
FIRST_WAIT_S = 0.5
"""The pauses between attempts are .5, 1, 2 and 4 s."""
TIMEOUT_S = 20.0
MAX_BYTES = 10_000_000
"""The files have 156 and 198 kB: a server that sends more than this sends something else."""
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Published:
    """Weights that can be pulled.

    Args:
        name: name of the bundle.
        file: name of the authors' file.
        architecture: name of the network.
        fakes: kind of fakes in the training data.
        sha256: of the file, in hexadecimal.
    """

    name: str
    file: str
    architecture: str
    fakes: str
    sha256: str


PUBLISHED = {
    each.name: each
    for each in (
        Published(
            "meso4-df",
            "Meso4_DF.h5",
            "meso4",
            "Deepfakes",
            "036ed30d04ffd9c7506f825b97c86aa64915f5818931da96817b169aad790af5",
        ),
        Published(
            "meso4-f2f",
            "Meso4_F2F.h5",
            "meso4",
            "Face2Face",
            "bcfda015d217b9f8d6557693edbdf9f4e79cfd22672541968dd0e2954462b5d7",
        ),
        Published(
            "mesoinception4-df",
            "MesoInception_DF.h5",
            "mesoinception4",
            "Deepfakes",
            "234586d40058e76ef8b6f27ca4b63c06e31c2a5a69c0d8ba6f30b1468ab7bafa",
        ),
        Published(
            "mesoinception4-f2f",
            "MesoInception_F2F.h5",
            "mesoinception4",
            "Face2Face",
            "d4533ac8a3197dc35c47405d23d99e888c1d0135e267e03540c7451feaccff3f",
        ),
    )
}
"""By name."""


def published_named(name: str) -> Published:
    """The published weights of that name.

    Raises:
        BundleError: there are no such weights.
    """
    if name not in PUBLISHED:
        raise BundleError(f"expected published weights of {', '.join(PUBLISHED)}; received {name!r}")
    return PUBLISHED[name]


def fetch(published: Published, folder: Path, origin: str = ORIGIN, wait: Callable[[float], None] = time.sleep) -> Path:
    """Fetches a file unless it is in `folder` already; a partial file is kept and resumed.

    Args:
        published: the weights.
        folder: where the file is kept; created if missing.
        origin: http or https address of the folder that has it.
        wait: sleeps between attempts, for the given number of seconds.

    Raises:
        BundleError: it does not exist, cannot be fetched after some attempts, or has another sha256.
    """
    if not origin.startswith(("https://", "http://")):
        raise BundleError(f"expected an http or https address to pull from, received {origin!r}")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / published.file
    if file.is_file() and sha256_of(file) == published.sha256:
        return file
    part = folder / f"{published.file}.part"
    begun = part.exists()
    url = f"{origin.rstrip('/')}/{published.file}"
    _transfer(url, part, wait)
    if begun and sha256_of(part) != published.sha256:  # the remainder of an earlier call may be of another file
        part.unlink()
        _transfer(url, part, wait)
    received = sha256_of(part)
    if received != published.sha256:
        part.unlink()
        raise BundleError(
            f"expected sha256 {published.sha256[:12]}... of {url}, received {received[:12]}...: it is another file, "
            "and was discarded"
        )
    return part.replace(file)


def credit(folder: Path, published: Published) -> None:
    """Adds licence and origin of published weights to an imported bundle's card."""
    card = read_card(folder)
    training = card.training.model_copy(
        update={
            "data": f"faces of web videos, real and made by {published.fakes}, gathered by its authors in 2018",
            "terms": LICENCE,
            "recipe": f"stream-detect models pull {published.name}",
        }
    )
    title = f"{published.architecture}, as published, for fakes made by {published.fakes}"
    write_card(folder, card.model_copy(update={"title": title, "training": training}))


def _transfer(url: str, part: Path, wait: Callable[[float], None]) -> None:
    """Completes `part`; what was received before an interruption is kept."""
    pause_s = FIRST_WAIT_S
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as client:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _resume(client, url, part)
            except httpx.InvalidURL as error:
                raise BundleError(
                    f"expected an http or https address to pull from, received {url!r}: {error}"
                ) from error
            except (httpx.HTTPError, OSError) as error:
                if isinstance(error, httpx.HTTPStatusError) and error.response.status_code not in _AGAIN:
                    raise BundleError(
                        f"expected the file at {url}, received HTTP {error.response.status_code}"
                    ) from error
                if attempt == ATTEMPTS:
                    kept = part.stat().st_size if part.exists() else 0
                    raise BundleError(
                        f"cannot download {url}: {ATTEMPTS} attempts failed, the last with: {error}; {kept:,} bytes "
                        "are kept, run the command again to continue"
                    ) from error
            else:
                return
            wait(pause_s)
            pause_s *= 2


def _resume(client: httpx.Client, url: str, part: Path) -> None:
    """Appends what is missing; starts again if the server does not support ranges."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing; the sha256 tells whether it is the right file
        answer.raise_for_status()
        resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as stream:
            for chunk in answer.iter_raw():  # unchunked: a fixed chunk size would lose the last one at an interruption
                if stream.tell() + len(chunk) > MAX_BYTES:
                    raise BundleError(f"expected at most {MAX_BYTES:,} bytes from {url}, it sends more")
                stream.write(chunk)
