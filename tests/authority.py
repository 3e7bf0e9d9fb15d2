"""A certificate authority for tests, and files signed with its certificates by the C2PA library itself."""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from c2pa import Builder, C2paBuilderIntent, C2paError, C2paSignerInfo, Context, Signer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stream_detect.errors import MediaError, SettingsError

EMAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
DAY = timedelta(days=1)
SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

T = TypeVar("T")
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: Key, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def name(common: str, organisation: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                      x509.NameAttribute(NameOID.COMMON_NAME, common)])  # fmt: skip


class Holder:
    """The owner of a key and a certificate.

    Args:
        key: private key.
        certificate: certificate of the key.
        chain: certificates that follow it in a file.
    """

    def __init__(self, key: Key, certificate: x509.Certificate, chain: Sequence[x509.Certificate] = ()) -> None:
        self.key, self.certificate, self.chain = key, certificate, chain

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Paths of the certificates and of the key."""
        certificates, key = folder / "signer.pem", folder / "signer.key"
        certificates.write_bytes(pem(self.certificate) + b"".join(map(pem, self.chain)))
        key.write_bytes(key_pem(self.key))
        return certificates, key


class Authority:
    """A root authority that issues certificates."""

    def __init__(self, common: str = "Root") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._issue(self._key, name(common, "Authority Ltd"), timedelta(days=365), ca=True)
        self.pem = pem(self.certificate).decode()

    def holder(
        self,
        common: str = "Operator",
        lasts: timedelta = 30 * DAY,
        usage: x509.ObjectIdentifier = EMAIL,
        key: Key | None = None,
    ) -> Holder:
        """Issues a certificate that is valid from yesterday on."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        return Holder(key, self._issue(key, name(common, "Example Ltd"), lasts, usage), (self.certificate,))

    def _issue(
        self, key: Key, subject: x509.Name, lasts: timedelta, usage: x509.ObjectIdentifier = EMAIL, *, ca: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if ca else self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + lasts) - DAY)
            .not_valid_after(now + lasts)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, ca, ca, False, False), critical=True
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )  # fmt: skip
        if not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def made_before_expiry(authority: Authority, make: Callable[[Holder], T]) -> tuple[Holder, T]:
    """What is made with a certificate that expires soon, and its holder.

    A machine that is too busy for two seconds gets a certificate that lasts longer.
    """
    for seconds in (2, 4, 8, 16, 32):
        holder = authority.holder(lasts=timedelta(seconds=seconds))
        with suppress(C2paError, MediaError, SettingsError):
            return holder, make(holder)
    raise AssertionError("it was not made within half a minute")


def jpeg(seed: int = 1) -> bytes:
    """A textured picture."""
    image = np.random.default_rng(seed).integers(0, 255, (120, 160, 3), np.uint8)
    return cv2.imencode(".jpg", image)[1].tobytes()


def action(what: str = "c2pa.created", source: str = "digitalCapture") -> dict[str, Any]:
    return {"action": what, "digitalSourceType": SOURCES + source}


def signed(  # noqa: PLR0913 - each is what a test is about
    content: bytes,
    holder: Holder,
    actions: Sequence[dict[str, Any]] = (),
    form: str = "image/jpeg",
    more: Sequence[dict[str, Any]] = (),
    *,
    address: str | None = None,
) -> bytes:
    """A file signed by another program.

    Args:
        content: the file to sign.
        holder: the signer, with ES256.
        actions: actions in the manifest; empty: c2pa.opened of an earlier file, whose manifest is kept.
        form: content type.
        more: further assertions.
        address: address of a remote manifest, instead of one in the file.
    """
    chain = pem(holder.certificate) + b"".join(map(pem, holder.chain))
    assertions = [{"label": "c2pa.actions.v2", "data": {"actions": list(actions)}}] if actions else []
    manifest = {"claim_generator_info": [{"name": "Studio", "version": "7"}], "title": "a", "assertions": [*assertions, *more]}  # noqa: E501  # fmt: skip
    settings = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"remote_manifest_fetch": False}}
    with (
        Context.from_dict(settings) as context,
        Signer.from_info(C2paSignerInfo("es256", chain, key_pem(holder.key), None)) as signer,
        Builder(manifest, context=context) as builder,
    ):
        if not actions:
            builder.set_intent(C2paBuilderIntent.EDIT)
        if address is not None:
            builder.set_no_embed()
            builder.set_remote_url(address)
        to = io.BytesIO()
        builder.sign(signer, form, io.BytesIO(content), to)
        return to.getvalue()


def changed(content: bytes, from_end: int = 500) -> bytes:
    """The same file with one bit flipped."""
    return content[:-from_end] + bytes([content[-from_end] ^ 1]) + content[-from_end + 1 :]
