"""Pairs of real and fake faces: families, groups, balance, and errors if there are none."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.training.batches import levelled, sharpness
from stream_detect.training.pairs import Pairs
from stream_detect.training.recipe import Pairing, Recipe

DRAWS = 2000


def rows():
    """ "big" (100 faces) and "small" (4) swap faces of their people; "thin" draws its own; "street" has real people."""
    for source, n in (("big", 100), ("small", 4)):
        for i in range(n):
            yield Row(f"{source}f{i}", "fake", source, f"{source}{i}", "train", "swap")
            yield Row(f"{source}r{i}", "real", source, f"{source}{i}", "train")
    for i in range(16):
        yield Row(f"thinf{i}", "fake", "thin", f"thin:fake{i}", "train", "gan")
        yield Row(f"thinr{i}", "real", "thin", f"thin:real{i}", "train")
        yield Row(f"street{i}", "real", "street", "street", "train")


@pytest.fixture(scope="module")
def faces():
    known = tuple(rows())
    return Faces(np.zeros((len(known), 8, 8, 3), np.uint8), known, (), (Path("data/faces.csv"),))


def drawn(faces, recipe):
    """The fake's and the real's rows of many pairs, and whether they are marked as one group."""
    pairs, rng = Pairs(faces, recipe), np.random.default_rng(1)
    found = [pairs.draw(rng) for _ in range(DRAWS)]
    return [(faces.rows[pair.fake], faces.rows[pair.real], pair.same_group) for pair in found]


def share(chosen):
    return sum(chosen) / DRAWS


def test_a_preferred_group_is_taken_where_there_is_one_and_then_the_source_at_times(faces):
    whole = drawn(faces, Recipe(pairings=(Pairing(1.0, same_group="preferred", same_source=0.5),)))
    assert all(fake.label == "fake" and real.label == "real" for fake, real, _ in whole)
    assert all((fake.group == real.group) == same for fake, real, same in whole)
    swaps = [(fake, real, same) for fake, real, same in whole if fake.family == "swap"]
    assert all(same for _, _, same in swaps)
    drawings = [(fake, real) for fake, real, _ in whole if fake.family == "gan"]
    own = np.mean([real.source == "thin" for _, real in drawings])
    assert own == pytest.approx(0.5 + 0.5 * 16 / 136, abs=0.12)  # half the time from its source, otherwise from any


@pytest.mark.parametrize(("balance", "small"), [("faces", 4 / 104), ("families", 2 / 12)])
def test_a_source_counts_by_its_faces_or_by_their_square_root(faces, balance, small):
    whole = drawn(faces, Recipe(pairings=(Pairing(1.0, family="swap"),), balance=balance))
    assert share(fake.source == "small" for fake, _, _ in whole) == pytest.approx(small, abs=0.03)


@pytest.mark.parametrize(("balance", "swaps"), [("faces", 104 / 120), ("families", 1 / 2)])
def test_families_are_drawn_by_their_faces_or_equally_often(faces, balance, swaps):
    whole = drawn(faces, Recipe(pairings=(Pairing(1.0, real="street"),), balance=balance))
    assert share(fake.family == "swap" for fake, _, _ in whole) == pytest.approx(swaps, abs=0.04)
    assert {real.source for _, real, _ in whole} == {"street"}


def test_pairings_have_their_shares_and_a_family_left_out_is_never_shown(faces):
    three = (Pairing(0.2, family="swap"), Pairing(0.6, family="gan"), Pairing(0.2, real=("street", "thin")))
    whole = Counter(fake.family for fake, _, _ in drawn(faces, Recipe(pairings=three, balance="families")))
    assert whole["gan"] / DRAWS == pytest.approx(0.7, abs=0.04)
    without = drawn(faces, Recipe(pairings=three, balance="families", leave_out=("swap",)))
    assert {fake.family for fake, _, _ in without} == {"gan"}
    assert share(real.source in ("street", "thin") for _, real, _ in without) < 0.6  # both pairings remain


@pytest.mark.parametrize(
    ("pairing", "message"),
    [
        (
            Pairing(1.0, family="lips", origin="x.toml, line 7"),
            r"x\.toml, line 7: expected fake faces of family lips in .*data/faces\.csv, .*families there: gan, swap",
        ),
        (Pairing(1.0, fake="elsewhere"), r"^expected fake faces of source elsewhere"),
        (
            Pairing(1.0, family="gan", real=("moon", "mars"), origin="x.toml, line 9"),
            r"x\.toml, line 9: expected real faces of moon or mars to pair 16 fake ones with in .*faces\.csv",
        ),
        (Pairing(1.0, family="gan", same_group=True), r'family gan whose group has a real .*none of 16: .*"preferred"'),
    ],
)
def test_a_pairing_that_finds_nothing_is_named(faces, pairing, message):
    with pytest.raises(DatasetError, match=message):
        Pairs(faces, Recipe(pairings=(Pairing(1.0, family="swap"), pairing)))


def test_a_family_of_one_label_only_is_reported(faces):
    known = tuple(row for row in faces.rows if row.label == "fake")
    with pytest.raises(DatasetError, match=r"expected real faces to pair 104 fake ones with in .*faces\.csv"):
        Pairs(
            Faces(faces.crops[: len(known)], known, (), faces.tables), Recipe(pairings=(Pairing(1.0, family="swap"),))
        )


def test_leaving_out_unknown_families_or_everything_is_reported(faces):
    with pytest.raises(DatasetError, match=r"families of the data \(gan, swap\), received 'lips'"):
        Pairs(faces, Recipe(leave_out=("lips",)))
    with pytest.raises(DatasetError, match="leaves none of any pairing"):
        Pairs(faces, Recipe(pairings=(Pairing(1.0, family="gan"),), leave_out=("gan",)))


@pytest.mark.parametrize("turned", [False, True])
def test_the_sharper_of_a_pair_is_blurred_towards_the_other(turned):
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 256, (64, 64, 3), np.uint8)
    soft = np.repeat(np.repeat(sharp[::8, ::8], 8, 0), 8, 1)
    pair = (soft, sharp) if turned else (sharp, soft)
    low, high = sharpness(soft), sharpness(sharp)
    assert high > 3 * low
    for _ in range(8):
        one, other = levelled(*pair, rng)
        softened, left = (other, one) if turned else (one, other)
        assert np.array_equal(left, soft)
        assert sharpness(softened) <= np.sqrt(low * high)  # at least half of the way on a logarithmic scale


def test_faces_that_are_alike_are_left_as_they_are():
    rng = np.random.default_rng(2)
    one, other = (rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(2))
    assert levelled(one, other, rng) == (one, other) or all(
        map(np.array_equal, levelled(one, other, rng), (one, other))
    )
