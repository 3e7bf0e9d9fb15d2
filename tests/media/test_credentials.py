"""Reading Content Credentials: signer, content and validity; nothing is fetched from the network."""

import socket
from pathlib import Path

import pytest
from PIL import Image as Pillow

from stream_detect import extras
from stream_detect.errors import MissingExtraError, ReviewCancelledError, SettingsError
from stream_detect.media.credentials import NO_CREDENTIALS, Credentials, CredentialsReader, trust_anchors_of
from tests.authority import Authority, action, changed, jpeg, made_before_expiry, signed
from tests.patience import until
from tests.sources.media_files import film, picture


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def camera(authority: Authority):
    return authority.holder("Camera 7")


def read(folder: Path, content: bytes, anchors: str = "") -> Credentials:
    (folder / "file").write_bytes(content)
    return CredentialsReader(anchors).read(folder / "file")


def test_a_file_without_any_has_none(tmp_path, authority):
    assert read(tmp_path, jpeg()) == NO_CREDENTIALS
    assert read(tmp_path, b"") == NO_CREDENTIALS
    assert NO_CREDENTIALS.sentence == ""


def test_a_signature_under_a_trust_anchor_is_valid(tmp_path, authority, camera):
    found = read(tmp_path, signed(jpeg(), camera, [action()]), authority.pem)
    assert found == Credentials(
        "valid", "Camera 7 (Example Ltd)", "Root (Authority Ltd)", False, ("c2pa.created",), "Studio 7", None
    )
    assert found.sentence == (
        "Content Credentials hold; signed by Camera 7 (Example Ltd), issued by Root (Authority Ltd)"
    )
    assert Credentials.of(found.as_json()) == found


@pytest.mark.parametrize("anchors", ["", Authority("Another").pem])
def test_without_an_anchor_that_vouches_for_the_signer_it_is_untrusted(tmp_path, camera, anchors):
    found = read(tmp_path, signed(jpeg(), camera, [action()]), anchors)
    assert (found.state, found.signer) == ("untrusted", "Camera 7 (Example Ltd)")
    assert "review.trust_anchors" in found.problem
    assert "untrusted signer" in found.sentence


def test_a_certificate_that_has_expired_is_untrusted_and_a_changed_file_is_broken_all_the_same(tmp_path, authority):
    _, content = made_before_expiry(authority, lambda holder: signed(jpeg(), holder, [action()]))
    until(lambda: read(tmp_path, content, authority.pem).state == "untrusted")
    assert "expired" in read(tmp_path, content, authority.pem).problem
    assert read(tmp_path, changed(content), authority.pem).state == "broken"


def test_a_file_that_was_changed_is_broken(tmp_path, authority, camera):
    found = read(tmp_path, changed(signed(jpeg(), camera, [action()])), authority.pem)
    assert (found.state, found.problem) == ("broken", "the file was changed after it was signed")
    assert found.sentence.startswith("Content Credentials are broken: the file was changed")


def test_a_statement_that_was_changed_is_broken(tmp_path, authority, camera):
    content = signed(jpeg(), camera, [action(source="trainedAlgorithmicMedia")])
    lie = content.replace(b"trainedAlgorithmicMedia", b"digitalCaptureCaptureXX")
    assert lie != content
    found = read(tmp_path, lie, authority.pem)
    assert found.state == "broken"
    assert "manifest was changed" in found.problem


def test_a_manifest_with_a_damaged_byte_says_nothing_else_and_holds(tmp_path, authority, camera):
    content = signed(jpeg(), camera, [action()])
    whole = read(tmp_path, content, authority.pem)
    begin = content.index(b"jumdc2pa")
    for at in range(begin, begin + 1600, 61):
        hurt = content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :]
        found = read(tmp_path, hurt, authority.pem)
        assert found.state in {"broken", "unreadable", "none"} or found == whole, at - begin  # some bytes are padding


@pytest.mark.parametrize(
    ("actions", "generated"),
    [
        ([action(source="trainedAlgorithmicMedia")], True),
        ([action(), action("c2pa.edited", "compositeWithTrainedAlgorithmicMedia")], True),
        ([action(), action("c2pa.cropped", "digitalCapture")], False),
    ],
)
def test_what_it_declares_of_its_source(tmp_path, camera, actions, generated):
    found = read(tmp_path, signed(jpeg(), camera, actions))
    assert found.generated is generated
    assert found.actions == tuple(each["action"] for each in actions)
    assert ("declares itself generated" in found.sentence) is generated


def test_an_edited_file_declares_what_its_source_declared(tmp_path, authority, camera):
    generated = signed(jpeg(), camera, [action(source="trainedAlgorithmicMedia")])
    edited = signed(generated, authority.holder("Editor"), more=[{"label": "org.test", "data": {"a": 1}}])
    found = read(tmp_path, edited, authority.pem)
    assert (found.state, found.signer, found.generated) == ("valid", "Editor (Example Ltd)", True)
    assert found.actions == ("c2pa.created", "c2pa.opened")


def test_metadata_of_the_iptc_declares_a_source_too(tmp_path, authority, camera):
    metadata = {"label": "stds.iptc", "data": {
        "@context": {"Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"},
        "Iptc4xmpExt:DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    }}  # fmt: skip
    found = read(tmp_path, signed(jpeg(), camera, [action()], more=[metadata]), authority.pem)
    assert found.generated is True


def test_a_file_without_a_declared_source_is_neither(tmp_path, camera):
    assert read(tmp_path, signed(jpeg(), camera)).generated is None


def test_all_kinds_of_files_that_carry_credentials_are_read(tmp_path, authority, camera):
    clip = film(tmp_path / "a.mp4", [picture(n, (160, 120)) for n in range(5)]).read_bytes()
    assert read(tmp_path, signed(clip, camera, [action()], "video/mp4"), authority.pem).state == "valid"
    (tmp_path / "a.jpg").write_bytes(jpeg())
    for form in ("png", "webp", "gif", "tiff"):
        with Pillow.open(tmp_path / "a.jpg") as opened:
            opened.save(tmp_path / f"a.{form}")
        content = signed((tmp_path / f"a.{form}").read_bytes(), camera, [action()], f"image/{form}")
        assert read(tmp_path, content, authority.pem).state == "valid", form


def test_a_manifest_elsewhere_is_not_fetched(tmp_path, authority, camera):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/hidden?key=1"
        found = read(tmp_path, signed(jpeg(), camera, [action()], address=address), authority.pem)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (found.state, found.problem) == ("unreadable", "the manifest is kept elsewhere, and is not fetched")


def test_bytes_that_only_look_like_a_manifest_are_none_or_unreadable(tmp_path):
    assert read(tmp_path, b"BM" + b"jumdc2pa" * 3) == NO_CREDENTIALS
    assert read(tmp_path, jpeg() + b"jumdc2pa") == NO_CREDENTIALS


def test_a_picture_too_large_to_be_read_as_a_whole_is_not(tmp_path, camera):
    with (tmp_path / "large").open("wb") as file:
        file.write(signed(jpeg(), camera, [action()]))
        file.truncate(300 << 20)
    found = CredentialsReader().read(tmp_path / "large")
    assert (found.state, found.problem) == (
        "unreadable",
        "the file has more than 256 MiB, and would be read as a whole",
    )


def test_reading_can_be_cancelled(tmp_path, camera):
    (tmp_path / "file").write_bytes(signed(jpeg(), camera, [action()]))
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) > 2:  # the first one is from the search for a manifest
            raise ReviewCancelledError("cancelled")

    with pytest.raises(ReviewCancelledError):
        CredentialsReader().read(tmp_path / "file", check)


def test_without_the_extra_a_manifest_is_reported_as_unread(tmp_path, camera, monkeypatch):
    monkeypatch.setitem(extras.PACKAGES, "c2pa", ("no_such_package",))
    assert read(tmp_path, jpeg()) == NO_CREDENTIALS
    found = read(tmp_path, signed(jpeg(), camera, [action()]))
    assert (found.state, found.signer) == ("unread", None)
    assert 'pip install "stream-detect[c2pa]"' in found.sentence


def test_names_on_certificates_are_one_printable_line(tmp_path, authority):
    found = read(tmp_path, signed(jpeg(), authority.holder("a\x1b[31m\n" + "b" * 50), [action()]))
    assert found.signer.isprintable()
    assert found.signer.startswith("a [31m")


def test_trust_anchors_that_cannot_be_used_are_named(tmp_path, authority, monkeypatch):
    (tmp_path / "anchors.pem").write_text(authority.pem)
    assert trust_anchors_of(None) == ""
    assert trust_anchors_of(tmp_path / "anchors.pem") == authority.pem
    with pytest.raises(SettingsError, match=r"review\.trust_anchors .*No such file"):
        trust_anchors_of(tmp_path / "absent.pem")
    (tmp_path / "anchors.pem").write_text("nothing")
    with pytest.raises(SettingsError, match=r"expected PEM certificates"):
        trust_anchors_of(tmp_path / "anchors.pem")
    monkeypatch.setitem(extras.PACKAGES, "c2pa", ("no_such_package",))
    with pytest.raises(MissingExtraError, match=r"review\.trust_anchors requires"):
        trust_anchors_of(tmp_path / "anchors.pem")
