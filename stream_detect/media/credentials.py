"""Reads and validates Content Credentials, the signed C2PA manifests of pictures and videos, without network access."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from stream_detect.errors import SettingsError
from stream_detect.extras import missing, require

CredentialsState = Literal["none", "valid", "untrusted", "broken", "unreadable", "unread"]

INSTALL: Final = 'pip install "stream-detect[c2pa]"'

_MARKERS = (b"jumdc2pa", b"dcterms:provenance")
"""Markers in every file with a manifest store (the description of its JUMBF box; C2PA 2.1, section 11.1), and in every
file that refers to a manifest elsewhere (XMP; section 11.4).
"""

_CHUNK_BYTES = 1 << 20
_LARGEST_IN_MEMORY_BYTES = 256 << 20
"""The library reads all formats except MP4 and its relatives as a whole."""

_LONGEST_TEXT = 200
_MOST_ACTIONS = 50
_DEEPEST = 8
"""Depth to which a manifest, which anybody may have written, is searched."""

_GENERATED = frozenset({"trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia"})
"""IPTC's digital source types for media made by, or with, a generator."""

_SIGNER_PROBLEMS: Mapping[str, str] = {
    "signingCredential.untrusted": "its signer is not among the trust anchors (review.trust_anchors)",
    "signingCredential.expired": "its signer's certificate has expired, and no time stamp proves that it signed before",
    "claimSignature.outsideValidity": "it was signed outside the validity of its signer's certificate",
    "signingCredential.invalid": "its signer's certificate is none for Content Credentials",
    "signingCredential.ocsp.revoked": "its signer's certificate was revoked",
    "signingCredential.revoked": "its signer's certificate was revoked",
}
"""Codes for a file that is as it was signed, but whose signer nobody vouches for."""

_BROKEN: Mapping[str, str] = {
    "assertion.dataHash.mismatch": "the file was changed after it was signed",
    "assertion.bmffHash.mismatch": "the file was changed after it was signed",
    "assertion.boxesHash.mismatch": "the file was changed after it was signed",
    "assertion.hashedURI.mismatch": "the manifest was changed after it was signed",
    "claimSignature.mismatch": "the manifest was changed after it was signed, or the signature is another's",
    "claimSignature.missing": "the manifest is not signed",
}

_EXTENDED_KEY_USAGES = ("1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1")
"""Purposes of certificates that may sign: e-mail protection, document signing (RFC 9336), C2PA claim signing."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Content Credentials of a file; they never influence a verdict.

    Args:
        state: "none": it has none; "valid": the signature is valid and the signer trusted; "untrusted": it is valid,
            but nobody vouches for the signer; "broken": it is invalid; "unreadable": they cannot be read; "unread": the
            package that reads them is not installed.
        signer: subject of the signing certificate; None if unknown.
        issuer: issuer of that certificate.
        generated: whether the file is declared as made by, or with, a generator; None if it declares no source.
        actions: what was done to the file ("c2pa.created", "c2pa.edited"), in order, each once.
        claim_generator: the program that wrote the manifest.
        problem: why the state is not "valid", in a sentence without a full stop; None for "valid" and "none".
    """

    state: CredentialsState
    signer: str | None = None
    issuer: str | None = None
    generated: bool | None = None
    actions: tuple[str, ...] = ()
    claim_generator: str | None = None
    problem: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `as_json`."""
        return cls(**{**values, "actions": tuple(values["actions"])})

    def as_json(self) -> dict[str, Any]:
        """JSON object, the member "credentials" of results and analyses."""
        return {**asdict(self), "actions": list(self.actions)}

    @property
    def has_expired(self) -> bool:
        """Whether the only problem is that the signer's certificate has expired."""
        return self.state == "untrusted" and self.problem == _SIGNER_PROBLEMS["signingCredential.expired"]

    @property
    def sentence(self) -> str:
        """A sentence for people, without a full stop; empty if the file has none."""
        if self.state == "none":
            return ""
        names = {
            "valid": "Content Credentials hold",
            "untrusted": "Content Credentials of an untrusted signer",
            "broken": "Content Credentials are broken",
            "unreadable": "Content Credentials cannot be read",
            "unread": "Content Credentials were not read",
        }
        parts = [names[self.state]]
        if self.problem:
            parts[0] += f": {self.problem}"
        if self.signer:
            parts.append(f"signed by {self.signer}" + (f", issued by {self.issuer}" if self.issuer else ""))
        if self.generated:
            parts.append("the file declares itself generated")
        return "; ".join(parts)


NO_CREDENTIALS: Final = Credentials("none")


class CredentialsReader:
    """Reads and validates Content Credentials.

    Args:
        trust_anchors: PEM certificates of authorities whose signers are trusted; empty for none.
        signers: PEM certificates of signers that are trusted directly; empty for none.
    """

    def __init__(self, trust_anchors: str = "", signers: str = "") -> None:
        self._settings = library_settings(trust_anchors, signers)

    def read(self, path: Path, check: Callable[[], None] = lambda: None) -> Credentials:
        """Reads the credentials of a file; every problem with them is part of the answer.

        Args:
            path: a regular file.
            check: called often between parts of the file; if it raises, reading ends.

        Raises:
            OSError: the file cannot be read.
        """
        if not _has_manifest(path, check):
            return NO_CREDENTIALS
        if missing("c2pa"):
            return Credentials("unread", problem=f"that needs {INSTALL}")
        return self._read(path, check)

    def _read(self, path: Path, check: Callable[[], None]) -> Credentials:
        from c2pa import C2paError, Context, Reader  # noqa: PLC0415 - an extra: only files that have a manifest load it

        with path.open("rb") as file:
            is_streamed = file.read(8)[4:] == b"ftyp"
        if not is_streamed and path.stat().st_size > _LARGEST_IN_MEMORY_BYTES:
            most = _LARGEST_IN_MEMORY_BYTES >> 20
            return Credentials("unreadable", problem=f"the file has more than {most} MiB, and would be read as a whole")
        with _Checked(path, check) as file:
            try:
                with Context.from_dict(self._settings) as context, Reader(None, file, context=context) as reader:
                    manifests, certificates = reader.json(), reader.crjson()
            except C2paError as error:
                file.raise_again()
                return _unread(error)
            file.raise_again()
        try:
            return _credentials(json.loads(manifests), json.loads(certificates))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return Credentials("unreadable", problem="the manifest has another form than C2PA's")


def trust_anchors_of(path: Path | None) -> str:
    """The PEM certificates in the file that `review.trust_anchors` names; empty if it names none.

    Raises:
        SettingsError: it cannot be read, or contains no certificates.
        MissingExtraError: the package that uses them is not installed.
    """
    return certificates_of(path, "review.trust_anchors")


def certificates_of(path: Path | None, setting: str) -> str:
    """Only the PEM certificates in the file that a setting names; empty if it names none.

    Raises:
        SettingsError: it cannot be read, or contains no certificates.
        MissingExtraError: the package that uses them is not installed.
    """
    if path is None:
        return ""
    require("c2pa", setting)
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"expected {setting} to be readable, {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"expected PEM certificates in {path} ({setting}), received: {error}") from error
    return "".join(one.public_bytes(Encoding.PEM).decode("ascii") for one in found)


def library_settings(trust_anchors: str = "", signers: str = "") -> dict[str, Any]:
    """Settings of the C2PA library: no network, no thumbnails, and trust only in these certificates.

    Args:
        trust_anchors: PEM certificates of authorities.
        signers: PEM certificates of signers.
    """
    usages = "\n".join(_EXTENDED_KEY_USAGES)
    given = {"trust_anchors": trust_anchors, "allowed_list": signers, "trust_config": usages}
    trust: dict[str, Any] = {"trust_config": usages}
    if trust_anchors or signers:
        trust["anchors"] = [{"trust_kind": "manifest", "trust_uri": "urn:stream-detect:settings", **given}]
    return {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
        "builder": {"thumbnail": {"enabled": False}},
        "trust": trust,
    }


class _Checked(io.FileIO):
    """A file that calls a function on each read; its exception is kept, because the library swallows it."""

    def __init__(self, path: Path, check: Callable[[], None]) -> None:
        super().__init__(path, "rb")
        self._check = check
        self._raised: BaseException | None = None

    def readinto(self, buffer: Any, /) -> int:
        self.raise_again()
        try:
            self._check()
        except BaseException as error:
            self._raised = error
            raise
        return super().readinto(buffer)

    def raise_again(self) -> None:
        """Raises the exception of the function, if any."""
        if self._raised is not None:
            raise self._raised


def _has_manifest(path: Path, check: Callable[[], None]) -> bool:
    """Whether the file contains the markers of a manifest; if not, the C2PA library never sees it."""
    before, longest = b"", max(map(len, _MARKERS))
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            check()
            both = before + chunk
            if any(marker in both for marker in _MARKERS):
                return True
            before = chunk[-longest:]
    return False


def _unread(error: Exception) -> Credentials:
    """The credentials that an error of the library means."""
    kind = str(error).partition(":")[0]
    if kind in {"ManifestNotFound", "NotSupported"}:
        return NO_CREDENTIALS  # the marker belonged to something else
    if kind == "Remote":
        return Credentials("unreadable", problem="the manifest is kept elsewhere, and is not fetched")
    return Credentials("unreadable", problem=f"the manifest is damaged ({_text(error)})")


def _credentials(store: Mapping[str, Any], certificates: Mapping[str, Any]) -> Credentials:
    """Reads the manifest store from the library's two JSON documents."""
    label = store["active_manifest"]
    active = store["manifests"][label]
    lineage = tuple(_lineage(store["manifests"], label))
    state, problem = _state(store)
    signer, issuer = _names(certificates, label)
    information = active.get("signature_info") or {}
    return Credentials(
        state=state,
        signer=signer or _text(information.get("common_name") or information.get("issuer")),
        issuer=issuer,
        generated=_generated(lineage),
        actions=_actions(lineage),
        claim_generator=_generator(active),
        problem=problem,
    )


def _state(store: Mapping[str, Any]) -> tuple[CredentialsState, str | None]:
    results = store.get("validation_results") or {}
    failures = [*((results.get("activeManifest") or {}).get("failure") or ())]
    for delta in results.get("ingredientDeltas") or ():
        failures += (delta.get("validationDeltas") or {}).get("failure") or ()
    codes = {str(failure["code"]): failure for failure in failures}
    if store.get("validation_state") == "Trusted":
        return "valid", None
    worse = [code for code in codes if code not in _SIGNER_PROBLEMS]
    if not worse and (codes or store.get("validation_state") == "Valid"):
        codes = codes or {"signingCredential.untrusted": {}}
        named = [code for code in _SIGNER_PROBLEMS if code in codes]
        return "untrusted", _SIGNER_PROBLEMS[named[min(1, len(named) - 1)]]  # the first one is the least specific
    code = next((code for code in _BROKEN if code in codes), None)
    if code is not None:
        return "broken", _BROKEN[code]
    return "broken", _text("; ".join(f"{codes[code].get('explanation') or ''} ({code})" for code in worse) or "invalid")


def _lineage(manifests: Mapping[str, Any], label: str) -> Iterator[Mapping[str, Any]]:
    """A manifest and those of the files that its file was made from, newest first."""
    seen: set[str] = set()
    while label in manifests and label not in seen and len(seen) < _DEEPEST:
        seen.add(label)
        yield manifests[label]
        parents = [each for each in manifests[label].get("ingredients") or () if each.get("relationship") == "parentOf"]
        label = str(parents[0].get("active_manifest")) if parents else ""


def _generated(lineage: Iterable[Mapping[str, Any]]) -> bool | None:
    """Whether any of the declared sources is a generator."""
    sources: set[str] = set()
    for manifest in lineage:
        for assertion in manifest.get("assertions") or ():
            sources.update(_sources(assertion.get("data"), _DEEPEST))
    return bool(sources & _GENERATED) if sources else None


def _sources(value: object, depth: int) -> Iterator[str]:
    """The last parts of all digital source types, which occur in actions and in IPTC's metadata."""
    if depth and isinstance(value, Mapping):
        for key, part in value.items():
            if str(key).rpartition(":")[2].lower() == "digitalsourcetype" and isinstance(part, str):
                yield part.rstrip("/").rpartition("/")[2]
            else:
                yield from _sources(part, depth - 1)
    elif depth and isinstance(value, list):
        for part in value:
            yield from _sources(part, depth - 1)


def _actions(lineage: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Actions, those of the oldest manifest first."""
    names = [
        _text(action.get("action")) or ""
        for manifest in reversed(tuple(lineage))
        for assertion in manifest.get("assertions") or ()
        if str(assertion.get("label")).startswith("c2pa.actions")
        for action in assertion["data"].get("actions") or ()
    ]
    return tuple(dict.fromkeys(filter(None, names)))[:_MOST_ACTIONS]


def _generator(manifest: Mapping[str, Any]) -> str | None:
    information = (manifest.get("claim_generator_info") or [{}])[0]
    named = " ".join(str(information[key]) for key in ("name", "version") if information.get(key))
    return _text(named or manifest.get("claim_generator"))


def _names(certificates: Mapping[str, Any], label: str) -> tuple[str | None, str | None]:
    """Subject and issuer of the certificate that signed a manifest."""
    with suppress(KeyError, TypeError, AttributeError):
        for manifest in certificates["manifests"]:
            if manifest["label"] == label:
                found = manifest["signature"]["certificateInfo"]
                return _name(found["subject"]), _name(found["issuer"])
    return None, None


def _name(parts: Mapping[str, Any]) -> str | None:
    """Name of a person or a device, with the organisation in brackets."""
    name, organisation = parts.get("CN"), parts.get("O")
    return _text(f"{name} ({organisation})" if name and organisation and name != organisation else name or organisation)


def _text(value: object) -> str | None:
    """Untrusted text as one printable line of bounded length; None if nothing is left."""
    if value is None:
        return None
    text = "".join(c if c.isprintable() else " " for c in str(value)).strip()
    return (text[: _LONGEST_TEXT - 1] + "…" if len(text) > _LONGEST_TEXT else text) or None
