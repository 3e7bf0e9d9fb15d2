"""The TLS certificate of the server: checked, generated if the settings say so, and reread when its files change.

Tools such as certbot replace the files every few weeks. New connections then get the new certificate; open ones, and
their streams, continue.
"""

import asyncio
import datetime as dt
import logging
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stream_detect.backoff import keep_running
from stream_detect.errors import SettingsError, StreamDetectError
from stream_detect.media.files import put_whole, translated
from stream_detect.settings import Settings

CHECK_EVERY_S: Final = 30.0
"""Interval at which the files are checked."""

VALID_DAYS: Final = 825
"""Validity of a certificate made here: the maximum that Apple's systems accept."""

RENEW_DAYS: Final = 30
"""A certificate made here is replaced this long before its end."""

ENDS_SOON_DAYS: Final = 7
ENDS_SOON_SHARE: Final = 0.1
"""With this share of its lifetime left, a certificate should have been renewed: certbot does so at a third."""

_Stamp = tuple[tuple[int, int, int], ...]
_log = logging.getLogger(__name__)


class Certificate:
    """Certificate of the server in TLS handshakes.

    Args:
        files: returns the current paths of the certificate with its chain and of the key; called at every check.
        now: returns the time.

    Raises:
        SettingsError: they cannot be used.
    """

    def __init__(self, files: Callable[[], tuple[Path, Path]], now: Callable[[], dt.datetime] | None = None) -> None:
        self._files = files
        self._now = now or (lambda: dt.datetime.now(dt.UTC))
        self._stamp: _Stamp = self._current_stamp()
        self._newest, self._leaf = self._load()
        self._refused = ""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """For the listening socket: each handshake uses the newest certificate."""
        self.context.sni_callback = self._choose

    @property
    def summary(self) -> str:
        """Names, end of validity and fingerprint, in words."""
        return _summary(self._leaf)

    @property
    def problems(self) -> tuple[str, ...]:
        """Current problems, in sentences: files that cannot be used, and an end that is near or past."""
        begin, end, now = self._leaf.not_valid_before_utc, self._leaf.not_valid_after_utc, self._now()
        soon = end - now < min((end - begin) * ENDS_SOON_SHARE, dt.timedelta(ENDS_SOON_DAYS))
        ends = f"the TLS certificate {'has ended' if end < now else 'ends'} on {end:%Y-%m-%d %H:%M} UTC; renew it"
        return (*([self._refused] if self._refused else []), *([ends] if soon else []))

    def refresh(self) -> None:
        """Rereads the files if they have changed. If they cannot be used, the previous certificate stays in use."""
        try:
            stamp = self._current_stamp()
            if stamp == self._stamp:
                return
            newest, leaf = self._load()
        except StreamDetectError as error:
            refused = f"the TLS certificate was not replaced, the one before stays in use: {error}"
            if refused != self._refused:
                _log.error("%s", refused)
            self._stamp, self._refused = (), refused  # so that they are reread at the next check
            return
        self._stamp, self._refused = stamp, ""
        self._newest, self._leaf = newest, leaf
        _log.info("TLS certificate replaced: %s", self.summary)

    async def watch(self, every_s: float = CHECK_EVERY_S) -> None:
        """Refreshes from time to time, until cancelled."""

        async def refresh() -> None:
            while True:
                await asyncio.sleep(every_s)
                await asyncio.to_thread(self.refresh)

        await keep_running(_log, "the watch over the TLS certificate", refresh)

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest

    def _current_stamp(self) -> _Stamp:
        """Changes whenever the files change."""
        files = self._files()
        try:
            return tuple((it.st_mtime_ns, it.st_size, it.st_ino) for it in (path.stat() for path in files))
        except OSError as error:
            raise SettingsError(f"expected a certificate and a key in {files[0]} and {files[1]}: {error}") from error

    def _load(self) -> tuple[ssl.SSLContext, x509.Certificate]:
        certificate, key = self._files()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
            # With an empty password, because OpenSSL would ask for one on the terminal.
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise SettingsError(_why(error, certificate, key)) from error
        now = self._now()
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            raise SettingsError(
                f"expected a certificate that is valid now in {certificate}, received one from "
                f"{leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}; renew it"
            )
        return context, leaf


def certificate_of(settings: Settings) -> Certificate | None:
    """The certificate in the settings, created and stored if so configured; None without TLS.

    Raises:
        SettingsError: it cannot be used.
        StorageError: it cannot be written.
    """
    server = settings.server
    if server.tls == "self_signed":
        names = server.tls_names or ("localhost", *({server.host} - {"0.0.0.0", "::"}))  # noqa: S104 - left out
        folder = settings.storage.folder / "tls"
        return Certificate(lambda: self_signed(folder, names))
    if server.tls_certificate is None or server.tls_key is None:
        return None
    files = server.tls_certificate, server.tls_key
    return Certificate(lambda: files)


def self_signed(folder: Path, names: Sequence[str], now: dt.datetime | None = None) -> tuple[Path, Path]:
    """Self-signed certificate and key in a folder.

    They are made anew if missing, for other names, about to expire, or made while the clock was ahead.

    Args:
        folder: created if missing; only its owner may read it.
        names: its host names and IP addresses.
        now: current time.

    Raises:
        StorageError: they cannot be written.
    """
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    now = now or dt.datetime.now(dt.UTC)
    if not _is_kept(certificate, key, names, now):
        try:
            for private_folder in (folder.parent, folder):  # that of the storage does not exist at the first start
                private_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise translated(error, folder) from error
        made, private = _made(names, now)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        put_whole(key, lambda path: _write(path, pem))
        put_whole(certificate, lambda path: _write(path, made.public_bytes(serialization.Encoding.PEM)))
    return certificate, key


def _is_kept(certificate: Path, key: Path, names: Sequence[str], now: dt.datetime) -> bool:
    try:
        kept = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError):
        return False
    ours = private.public_key() == kept.public_key()
    lasts = kept.not_valid_before_utc <= now < kept.not_valid_after_utc - dt.timedelta(RENEW_DAYS)
    return ours and lasts and set(_names(kept)) == set(names)


def _made(names: Sequence[str], now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # for clients whose clocks are late
        .not_valid_after(now + dt.timedelta(VALID_DAYS - 1))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _summary(certificate: x509.Certificate) -> str:
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    names = ", ".join(_names(certificate)) or certificate.subject.rfc4514_string()
    return f"{names}, until {certificate.not_valid_after_utc:%Y-%m-%d}, SHA-256 fingerprint {fingerprint}"


def _why(error: Exception, certificate: Path, key: Path) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"expected the key of the certificate {certificate} in {key}, received another key"
    return f"expected a PEM certificate in {certificate} and its key, without a password, in {key}: {error}"


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
