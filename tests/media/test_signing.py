"""The operator's signature can be verified from the file alone; unusable keys are refused at the start."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from stream_detect import extras
from stream_detect.errors import MediaError, MissingExtraError, SettingsError
from stream_detect.media.credentials import Credentials, CredentialsReader
from stream_detect.media.signing import ContentSigner, Statement
from stream_detect.settings import EvidenceSettings
from tests.authority import Authority, Holder, jpeg, key_pem, made_before_expiry
from tests.patience import until
from tests.sources.media_files import film, picture

DOCUMENT_SIGNING = ObjectIdentifier("1.3.6.1.5.5.7.3.36")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def signed(folder: Path, holder: Holder, authority: Authority, statement: Statement) -> Credentials:
    """The credentials read from a signed picture."""
    (folder / "file").write_bytes(jpeg())
    ContentSigner(*holder.write(folder)).sign(folder / "file", statement)
    return CredentialsReader(authority.pem).read(folder / "file")


@pytest.mark.parametrize(
    ("key", "usage"),
    [
        (ec.generate_private_key(ec.SECP256R1()), ExtendedKeyUsageOID.EMAIL_PROTECTION),
        (ec.generate_private_key(ec.SECP384R1()), DOCUMENT_SIGNING),
        (ed25519.Ed25519PrivateKey.generate(), DOCUMENT_SIGNING),
        (rsa.generate_private_key(65537, 2048), ExtendedKeyUsageOID.EMAIL_PROTECTION),
    ],
)
def test_a_picture_says_who_signed_it_and_what_was_done_to_it(tmp_path, authority, key, usage):
    holder = authority.holder("Operator", key=key, usage=usage)
    statement = Statement("a.jpg", (("c2pa.drawing", "the badge"),), {"event": "01", "began_s": 1.5})
    found = signed(tmp_path, holder, authority, statement)
    assert (found.state, found.signer, found.issuer) == ("valid", "Operator (Example Ltd)", "Root (Authority Ltd)")
    assert found.actions == ("c2pa.opened", "c2pa.drawing")
    assert found.claim_generator.startswith("stream-detect ")
    assert found.generated is None, "where the picture comes from, nobody knows"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_a_clip_is_signed_and_still_plays(tmp_path, authority):
    images = [picture(n, (160, 120)) for n in range(20)]
    clip = film(tmp_path / "a.mp4", images)
    before = clip.read_bytes()
    ContentSigner(*authority.holder().write(tmp_path)).sign(clip, Statement("01-clip.mp4"))
    assert CredentialsReader(authority.pem).read(clip).state == "valid"
    content = clip.read_bytes()
    assert content != before
    clip.write_bytes(content[:-40] + bytes([content[-40] ^ 1]) + content[-39:])
    assert CredentialsReader(authority.pem).read(clip).state == "broken"


def test_the_event_is_in_the_file(tmp_path, authority):
    signed(tmp_path, authority.holder(), authority, Statement("a.jpg", (), {"event": "0192abcd", "camera": "door"}))
    content = (tmp_path / "file").read_bytes()
    assert b"stream-detect.event" in content
    assert b"0192abcd" in content


def test_a_file_that_cannot_be_signed_is_left_as_it_was(tmp_path, authority):
    signer = ContentSigner(*authority.holder().write(tmp_path))
    (tmp_path / "file").write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"a\.jpg cannot be signed"):
        signer.sign(tmp_path / "file", Statement("a.jpg"))
    assert (tmp_path / "file").read_bytes() == b"no picture"
    assert {path.name for path in tmp_path.iterdir()} == {"file", "signer.pem", "signer.key"}


def test_a_certificate_that_expires_meanwhile_signs_no_more(tmp_path, authority):
    _, signer = made_before_expiry(authority, lambda holder: ContentSigner(*holder.write(tmp_path)))
    (tmp_path / "file").write_bytes(jpeg())

    def refused() -> bool:
        try:
            signer.sign(tmp_path / "file", Statement("a.jpg"))
        except MediaError:
            return True
        return False

    until(refused)


def settings(folder: Path, holder: Holder) -> EvidenceSettings:
    certificate, key = holder.write(folder)
    return EvidenceSettings(signing_certificate=certificate, signing_key=key)


def test_the_settings_name_both_or_none(tmp_path, authority):
    assert ContentSigner.of(EvidenceSettings()) is None
    signer = ContentSigner.of(settings(tmp_path, authority.holder()))
    assert "CN=Operator" in signer.holder
    with pytest.raises(ValueError, match="signing_key is not set"):
        EvidenceSettings(signing_certificate=tmp_path / "signer.pem")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "signer.pem").unlink(), r"evidence\.signing_certificate .*No such file"),
        (lambda folder: (folder / "signer.key").unlink(), r"evidence\.signing_key .*No such file"),
        (lambda folder: (folder / "signer.pem").write_text("x"), r"PEM certificates .*signing_certificate"),
        (lambda folder: (folder / "signer.key").write_text("x"), r"PEM key without a password .*signing_key"),
        (
            lambda folder: (folder / "signer.key").write_bytes(
                key_pem(ec.generate_private_key(ec.SECP256R1()), b"hunter2")
            ),
            r"PEM key without a password",
        ),
        (
            lambda folder: (folder / "signer.key").write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1()))),
            r"the key of the first certificate .*another one",
        ),
        (
            lambda folder: (folder / "signer.key").write_bytes(key_pem(ec.generate_private_key(ec.SECP256K1()))),
            r"a key for ECDSA .*another kind",
        ),
    ],
)
def test_files_that_cannot_sign_are_refused_with_the_setting_and_never_the_key(tmp_path, authority, change, message):
    given = settings(tmp_path, authority.holder())
    secret = (tmp_path / "signer.key").read_text().splitlines()[1]
    change(tmp_path)
    with pytest.raises(SettingsError, match=message) as refused:
        ContentSigner.of(given)
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    ("holder", "message"),
    [
        (lambda authority: authority.holder(lasts=timedelta(days=-2)), "valid now .*received one that is valid from"),
        (lambda authority: authority.holder(usage=ExtendedKeyUsageOID.SERVER_AUTH), "emailProtection"),
    ],
)
def test_certificates_that_cannot_sign_are_refused(tmp_path, authority, holder, message):
    with pytest.raises(SettingsError, match=message):
        ContentSigner.of(settings(tmp_path, holder(authority)))


def test_without_the_extra_the_start_is_refused(tmp_path, authority, monkeypatch):
    monkeypatch.setitem(extras.PACKAGES, "c2pa", ("no_such_package",))
    with pytest.raises(MissingExtraError, match=r'pip install "stream-detect\[c2pa\]"'):
        ContentSigner.of(settings(tmp_path, authority.holder()))
