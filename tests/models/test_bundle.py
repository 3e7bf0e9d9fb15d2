import os
import shutil
import tempfile
from pathlib import Path

import pytest

from stream_detect.errors import BundleError, BundleTamperedError
from stream_detect.models.bundle import FILES, Bundle, sha256_of
from stream_detect.models.registry import SHIPPED, Registry


def test_bundle_loads_with_its_card(make_bundle):
    bundle = Bundle.load(make_bundle())
    assert bundle.card.title == "Mean of red"
    assert bundle.sha256 == sha256_of(bundle.folder / "model.bin")


@pytest.mark.parametrize("file", FILES)
def test_one_changed_byte_is_noticed_and_the_file_named(make_bundle, file):
    folder = make_bundle()
    content = bytearray((folder / file).read_bytes())
    content[-1] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(BundleTamperedError, match=file):
        Bundle.load(folder)


@pytest.mark.parametrize("file", FILES)
def test_missing_file_is_named(make_bundle, file):
    folder = make_bundle()
    (folder / file).unlink()
    with pytest.raises(BundleError, match=file):
        Bundle.load(folder)


@pytest.mark.parametrize("file", FILES)
def test_file_without_a_sum_is_refused(make_bundle, file):
    sums = {name: "0" * 64 for name in FILES if name != file}
    with pytest.raises(BundleError, match=f"sha256 of {file}"):
        Bundle.load(make_bundle(sha256=sums))


def test_sum_of_a_file_outside_the_bundle_is_refused(make_bundle, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"x")
    sums = dict.fromkeys(FILES, "0" * 64) | {"../outside": sha256_of(outside)}
    folder = make_bundle(sha256={"../outside": sha256_of(outside), **sums})
    with pytest.raises(BundleError):
        Bundle.load(folder)


@pytest.mark.parametrize(("text", "message"), [("{", "JSON"), ("{}", "name"), ('{"name": 3}', "name")])
def test_broken_card_is_named_with_the_place(make_bundle, text, message):
    folder = make_bundle()
    (folder / "card.json").write_text(text)
    with pytest.raises(BundleError, match=rf"card\.json.*{message}"):
        Bundle.load(folder)


def test_card_that_is_no_text_is_refused(make_bundle):
    folder = make_bundle()
    (folder / "card.json").write_bytes(b'{"name": "\xe9"}')
    with pytest.raises(BundleError, match=r"card\.json, but it cannot be read: it is not UTF-8 text"):
        Bundle.load(folder)


def test_registry_knows_bundles_by_name_and_says_which_there_are(make_bundle, tmp_path):
    make_bundle("one")
    make_bundle("two")
    registry = Registry([tmp_path])
    assert registry.names() == ("one", "two")
    assert registry.load("two").card.name == "two"
    with pytest.raises(BundleError, match="'three'; known: one, two"):
        registry.load("three")


def test_folder_and_card_must_agree_on_the_name(make_bundle, tmp_path):
    make_bundle("one").rename(tmp_path / "other")
    with pytest.raises(BundleError, match="'other', received 'one'"):
        Registry([tmp_path]).load("other")


def test_folder_of_bundles_may_be_a_bundle_itself(make_bundle):
    assert Registry([make_bundle("one")]).load("one").card.name == "one"


def test_a_file_that_cannot_be_read_is_named(make_bundle):
    folder = make_bundle()
    (folder / "model.bin").unlink()
    (folder / "model.bin").symlink_to("/proc/self/mem")  # whose first page cannot be read
    with pytest.raises(BundleError, match=r"expected to read .*model\.bin"):
        Bundle.load(folder)


def test_a_folder_of_others_beside_the_bundles_is_passed_over(make_bundle):
    """Such as lost+found, where model.folder is a disk of its own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        shutil.copytree(make_bundle("one"), Path(name) / "one")
        (Path(name) / "lost+found").mkdir(mode=0o000)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65534)
            assert Registry([Path(name)]).names() == ("one",)
            with pytest.raises(BundleError, match="expected a readable folder of model bundles"):
                Registry([Path(name) / "lost+found"]).names()
        finally:
            if root:
                os.seteuid(0)


def test_absent_folder_of_bundles_is_an_error(tmp_path):
    with pytest.raises(BundleError, match=r"model\.folder"):
        Registry.of(tmp_path / "absent")


def test_every_shipped_bundle_is_whole():
    registry = Registry.of(None)
    assert "meso4-dfdc" in registry.names()
    for name in registry.names():
        assert registry.load(name).folder.parent == SHIPPED
