"""Chooses pairs of a fake face and a real one, by the pairings of a recipe."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.training.recipe import ANY_PAIRING, PAIRINGS, Pairing, Recipe


@dataclass(frozen=True, slots=True)
class Pair:
    """A fake face and a real one.

    Args:
        fake: index of the fake among the faces.
        real: index of the real face.
        same_group: whether the fake was made from the video of the real face.
    """

    fake: int
    real: int
    same_group: bool


class Choice:
    """Draws faces: first a collection by its weight, then one of its faces with equal probability.

    Args:
        collections: indices of faces, none of them empty.
        weights: weights of the collections, above 0.
    """

    def __init__(self, collections: Sequence[Sequence[int]], weights: Sequence[float]) -> None:
        self._collections = [np.array(each, np.intp) for each in collections]
        shares = np.array(weights, np.float64)
        self._until = np.cumsum(shares / shares.sum())

    def draw(self, rng: np.random.Generator) -> int:
        """Draws the index of a face."""
        chosen = self._collections[_drawn(self._until, rng)]
        return int(chosen[int(rng.integers(len(chosen)))])


def by(indices: Iterable[int], key: Callable[[int], str]) -> dict[str, list[int]]:
    """Groups indices by `key`, in the order of first occurrence."""
    found: dict[str, list[int]] = {}
    for index in indices:
        found.setdefault(key(index), []).append(index)
    return found


def of_sources(by_source: Mapping[str, Sequence[int]], recipe: Recipe) -> Choice:
    """Draws from some collections, balanced as the recipe says."""
    sizes = np.array([len(members) for members in by_source.values()], np.float64)
    return Choice(list(by_source.values()), list(np.sqrt(sizes) if recipe.balance == "families" else sizes))


class Pairs:
    """Draws pairs of collected faces.

    Args:
        faces: faces of the training split.
        recipe: its pairings, sources, families left out, and balance.

    Raises:
        DatasetError: there is no fake or no real face for a pairing; or the recipe leaves out a family that does not
            exist.
    """

    def __init__(self, faces: Faces, recipe: Recipe) -> None:
        self._rows = faces.rows
        _check_left_out(faces, recipe)
        chosen = [index for index, row in enumerate(faces.rows) if recipe.learns_from(row.source)]
        pools = [_Pool(pairing, faces, chosen, recipe) for pairing in recipe.pairings]
        if recipe.pairings == PAIRINGS:
            pools = [pool for pool in pools if pool.usable] or [_Pool(ANY_PAIRING, faces, chosen, recipe)]
        pools = [pool for pool in pools if not pool.left_out]
        if not pools:
            raise DatasetError(
                f"expected fake faces to train on, leave_out = {', '.join(recipe.leave_out)} leaves none of any pairing"
            )
        for pool in pools:
            pool.check()
        self._pools = pools
        shares = np.array([pool.pairing.share for pool in pools])
        self._until = np.cumsum(shares / shares.sum())

    def draw(self, rng: np.random.Generator) -> Pair:
        """Draws a pair, choosing a pairing by its share."""
        fake, real = self._pools[_drawn(self._until, rng)].draw(rng)
        return Pair(fake, real, self._rows[fake].group == self._rows[real].group)


class _Pool:
    """The faces of one pairing.

    Args:
        pairing: pairing of the recipe.
        faces: all faces.
        chosen: indices of the faces that the recipe uses.
        recipe: names the families to leave out, and the balance.
    """

    def __init__(self, pairing: Pairing, faces: Faces, chosen: Sequence[int], recipe: Recipe) -> None:
        self.pairing = pairing
        self._faces, self._rows, self._recipe = faces, faces.rows, recipe
        reals = [i for i in chosen if _stands_beside(self._rows[i], pairing)]
        self._by_group = by(reals, lambda i: self._rows[i].group)
        self._by_source = by(reals, lambda i: self._rows[i].source)
        named = [i for i in chosen if _is_fake_of(self._rows[i], pairing)]
        shown = [i for i in named if self._rows[i].family not in recipe.leave_out]
        self.left_out = bool(named and not shown)
        """Whether it has no fakes because the recipe leaves out their families."""
        self._named = len(named)
        if pairing.same_group is True:
            shown = [i for i in shown if self._rows[i].group in self._by_group]
        self._fakes = [of_sources(by(each, lambda i: self._rows[i].source), recipe) for each in self._families(shown)]
        self._reals = of_sources(self._by_source, recipe) if reals else None
        sizes = [1 if recipe.balance == "families" else len(each) for each in self._families(shown)]
        self._until = np.cumsum(np.array(sizes, np.float64) / max(sum(sizes), 1))

    @property
    def usable(self) -> bool:
        return bool(self._fakes) and self._reals is not None

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        fake = self._fakes[_drawn(self._until, rng)].draw(rng)
        row = self._rows[fake]
        if self.pairing.same_group and row.group in self._by_group:
            return fake, _any_of(self._by_group[row.group], rng)
        if self.pairing.same_source and row.source in self._by_source and rng.random() < self.pairing.same_source:
            return fake, _any_of(self._by_source[row.source], rng)
        if self._reals is None:
            raise DatasetError(f"expected real faces to pair {row.file} with, received none")
        return fake, self._reals.draw(rng)

    def check(self) -> None:
        """Checks that pairs can be drawn.

        Raises:
            DatasetError: what is missing, which files were searched, and the line of the recipe.
        """
        if self.usable:
            return
        origin = f"{self.pairing.origin}: " if self.pairing.origin else ""
        tables = " and ".join(str(table) for table in self._faces.tables) or "the given faces"
        families = ", ".join(sorted({row.family for row in self._rows if row.family})) or "none"
        if not self._named:
            raise DatasetError(
                f"{origin}expected fake faces{self._words(self.pairing.fake, self.pairing.family)} in split train of "
                f"{tables}, received none (families there: {families}); add the folder that has them with --data, or "
                "remove the pairing"
            )
        if not self._by_source:
            beside = f" of {' or '.join(self.pairing.reals)}" if self.pairing.reals else ""
            raise DatasetError(
                f"{origin}expected real faces{beside} to pair {self._named:,} fake ones with in split train of "
                f"{tables}, received none: add the folder that has them with --data, or pair with other reals (real)"
            )
        raise DatasetError(
            f"{origin}expected fake faces{self._words(self.pairing.fake, self.pairing.family)} whose group has a real "
            f'one in split train of {tables}, received none of {self._named:,}: set same_group = "preferred" or false'
        )

    def _families(self, shown: Sequence[int]) -> list[list[int]]:
        return list(by(shown, lambda i: self._rows[i].family).values())

    @staticmethod
    def _words(source: str | None, family: str | None) -> str:
        words = f" of family {family}" if family else ""
        return f"{words} of source {source}" if source else words


def _is_fake_of(row: Row, pairing: Pairing) -> bool:
    return row.label == "fake" and pairing.fake in (None, row.source) and pairing.family in (None, row.family)


def _stands_beside(row: Row, pairing: Pairing) -> bool:
    return row.label == "real" and (not pairing.reals or row.source in pairing.reals)


def _check_left_out(faces: Faces, recipe: Recipe) -> None:
    known = {row.family for row in faces.rows if row.label == "fake"}
    for family in recipe.leave_out:
        if family not in known:
            raise DatasetError(
                f"expected leave_out to name families of the data ({', '.join(sorted(known)) or 'none'}), "
                f"received {family!r}"
            )


def _drawn(until: NDArray[np.float64], rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(until, rng.random())), len(until) - 1)


def _any_of(members: Sequence[int], rng: np.random.Generator) -> int:
    return members[int(rng.integers(len(members)))]
