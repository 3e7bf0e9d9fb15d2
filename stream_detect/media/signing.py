"""Signs JPEG pictures and MP4 clips with Content Credentials (C2PA), by the operator's certificate and key."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Self

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from stream_detect import __version__
from stream_detect.errors import MediaError, SettingsError
from stream_detect.extras import require
from stream_detect.media.credentials import library_settings
from stream_detect.media.files import PART
from stream_detect.media.jpeg import encode_jpeg
from stream_detect.settings import EvidenceSettings

SIGNED_FORMS: Final[Mapping[str, str]] = {".jpg": "image/jpeg", ".mp4": "video/mp4"}
"""Suffixes of files that can be signed, with their media types; Matroska cannot carry a manifest."""

EVENT_LABEL = "stream-detect.event"
"""Label of the assertion that says which event a file is evidence of."""

_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_ALGORITHMS = "ECDSA (P-256, P-384, P-521), Ed25519 or RSA"


@dataclass(frozen=True, slots=True)
class Statement:
    """Content of a file's signature; the manifest also says that the file was opened as received.

    Args:
        title: name of the file.
        actions: what was done to it, as C2PA names, each with a description; none for a file as received.
        facts: facts of the event that it is evidence of.
    """

    title: str
    actions: tuple[tuple[Literal["c2pa.drawing", "c2pa.cropped"], str], ...] = ()
    facts: Mapping[str, str | float] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """The manifest in the form of the C2PA library."""
        return {
            "claim_generator_info": [{"name": "stream-detect", "version": __version__}],
            "title": self.title,
            "assertions": [{"label": EVENT_LABEL, "data": dict(self.facts)}] if self.facts else [],
        }


class ContentSigner:
    """Signs files. Not safe to use from two threads at once.

    Args:
        certificate: PEM file with the signer's certificate, then those of its authorities, without the root.
        key: PEM file with its private key, without a password.

    Raises:
        SettingsError: they cannot be read, do not belong together, or cannot sign Content Credentials now.
        MissingExtraError: the C2PA library is not installed.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        require("c2pa", "evidence.signing_certificate")
        from c2pa import C2paError, C2paSignerInfo, Signer  # noqa: PLC0415 - an extra

        content = _read(certificate, "evidence.signing_certificate")
        first = _certificate(content, certificate)
        algorithm, private = _key(_read(key, "evidence.signing_key"), key, first)
        self.holder = first.subject.rfc4514_string()
        """Subject of the certificate."""
        self.expires = first.not_valid_after_utc
        """End of its validity, in UTC."""
        self.certificates = content.decode("ascii", "replace")
        """PEM of the chain: whoever trusts it trusts this signer."""
        _check_dates(first, certificate)
        try:
            self._signer = Signer.from_info(C2paSignerInfo(algorithm, content, private, None))
            self._try()
        except (C2paError, MediaError) as error:
            raise SettingsError(
                f"expected a certificate for Content Credentials in {certificate} (evidence.signing_certificate): of "
                f"version 3, with the key usage digitalSignature and the extended key usage emailProtection or "
                f"documentSigning, followed by its chain; received: {error}"
            ) from error

    @classmethod
    def of(cls, settings: EvidenceSettings) -> Self | None:
        """The signer that the settings name; None if evidence is not to be signed.

        Raises:
            SettingsError: see `ContentSigner`.
            MissingExtraError: the C2PA library is not installed.
        """
        if settings.signing_certificate is None or settings.signing_key is None:
            return None
        return cls(settings.signing_certificate, settings.signing_key)

    def sign(self, path: Path, statement: Statement) -> None:
        """Signs a file in place.

        Args:
            path: a file that is not referenced yet.
            statement: content of the signature; the title's suffix, one of `SIGNED_FORMS`, determines the format.

        Raises:
            MediaError: it cannot be signed; the file is unchanged.
            OSError: the disk is full, or cannot be written.
        """
        part = path.with_name(f"{path.name}{PART}")
        try:
            part.touch(mode=0o600)
            with path.open("rb") as source, part.open("r+b") as to:
                self._sign(source, to, statement)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _sign(self, source: BinaryIO, to: BinaryIO, statement: Statement) -> None:
        from c2pa import Builder, C2paBuilderIntent, C2paError, Context  # noqa: PLC0415 - an extra

        form = SIGNED_FORMS[Path(statement.title).suffix]
        try:
            with (
                Context.from_dict(library_settings()) as context,
                Builder(statement.manifest(), context=context) as builder,
            ):
                builder.set_intent(C2paBuilderIntent.EDIT)
                for action, description in statement.actions:
                    builder.add_action({"action": action, "description": description})
                builder.sign(self._signer, form, source, to)
        except C2paError as error:
            raise MediaError(f"{statement.title} cannot be signed: {str(error).replace(chr(10), ' ')}") from error

    def _try(self) -> None:
        picture = encode_jpeg(np.zeros((16, 16, 3), np.uint8), 80)
        self._sign(io.BytesIO(picture), io.BytesIO(), Statement("trial.jpg"))


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"expected {setting} to be readable, {path}: {error.strerror}") from error


def _certificate(content: bytes, path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(content)[0]
    except ValueError as error:
        raise SettingsError(
            f"expected PEM certificates in {path} (evidence.signing_certificate), received none that can be parsed"
        ) from error


def _key(content: bytes, path: Path, certificate: x509.Certificate) -> tuple[str, bytes]:
    """The name of the algorithm, and the key as PKCS #8 in PEM. No error shows the key."""
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"expected a PEM key without a password in {path} (evidence.signing_key), received none that can be parsed"
        ) from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        algorithm = _CURVES[key.curve.name]
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    elif isinstance(key, rsa.RSAPrivateKey):
        algorithm = "ps256"
    else:
        raise SettingsError(f"expected a key for {_ALGORITHMS} in {path} (evidence.signing_key), received another kind")
    if key.public_key() != certificate.public_key():
        raise SettingsError(
            f"expected the key of the first certificate in {path} (evidence.signing_key), received another one"
        )
    pkcs8 = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return algorithm, key.private_bytes(serialization.Encoding.PEM, *pkcs8)


def _check_dates(certificate: x509.Certificate, path: Path) -> None:
    if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
        raise SettingsError(
            f"expected a certificate that is valid now in {path} (evidence.signing_certificate), received one that is "
            f"valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )
