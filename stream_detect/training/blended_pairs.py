"""Pairs of a real face and a fake that is made of it, drawn from the real faces of a training."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.mesh import FaceMesh
from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.evaluation.degradation import degrade, draw, sometimes_sent
from stream_detect.training.blending import Mesh, other_blended, self_blended
from stream_detect.training.pairs import by, of_sources
from stream_detect.training.recipe import Recipe
from stream_detect.types import Image

_DONORS = 96
"""Faces of a collection from which the one with the most similar pose is chosen: few enough to vary, enough to find
one."""
_POSE_POINTS = slice(None, None, 9)
"""Every ninth point of the mesh is enough for the pose."""
_ATTEMPTS = 16


class BlendedPairs:
    """Draws real faces and fakes made from them.

    Args:
        faces: faces of one split.
        recipe: names the collections, their balance, and the share that uses another person's face.
        threads: threads that find the face meshes, 1 ms per face; each has its own detector.

    Raises:
        DatasetError: there is no real face in the recipe's collections, or a mesh is found in none.
    """

    def __init__(self, faces: Faces, recipe: Recipe, threads: int = 1) -> None:
        reals = [i for i, row in enumerate(faces.rows) if row.label == "real" and recipe.learns_from(row.source)]
        if not reals:
            raise DatasetError(
                f"expected real faces to blend, received none of {', '.join(recipe.sources) or 'any source'}"
            )
        self._crops, self._rows = faces.crops, faces.rows
        self._with_other = recipe.blended_with_other
        self._meshes = _meshes(faces, reals, threads)
        if not self._meshes:
            raise DatasetError(f"expected real faces to blend, the face mesh found none in {len(reals):,} crops")
        self._of_source = by(self._meshes, lambda i: faces.rows[i].source)
        self._faces = of_sources(self._of_source, recipe)
        self._poses = {i: _pose(mesh) for i, mesh in self._meshes.items()} if self._with_other else {}

    @property
    def usable(self) -> Iterable[int]:
        """Indices of the faces from which fakes can be made."""
        return self._meshes

    def draw(self, rng: np.random.Generator) -> tuple[Image, Image]:
        """A fake, and the real face from which it was made."""
        return self.made_of(self._faces.draw(rng), rng)

    def made_of(self, index: int, rng: np.random.Generator) -> tuple[Image, Image]:
        """A fake made from that face, and the face."""
        face = np.ascontiguousarray(self._crops[index])
        if self._with_other and rng.random() < self._with_other:
            for _ in range(_ATTEMPTS):
                donor = self._donor(index, rng)
                if donor is None:
                    break
                pasted = np.ascontiguousarray(self._crops[donor])
                fake = other_blended(face, self._meshes[index], pasted, self._meshes[donor], rng)
                if fake is not None:
                    return fake, face
        real, fake = self_blended(face, self._meshes[index], rng)
        return fake, real

    def _donor(self, index: int, rng: np.random.Generator) -> int | None:
        """A face of the same collection, if possible of another group: of some drawn ones, the most similar in pose."""
        members = self._of_source[self._rows[index].source]
        drawn = [other for k in rng.integers(len(members), size=_DONORS) if (other := members[int(k)]) != index]
        apart = [other for other in drawn if self._rows[other].group != self._rows[index].group] or drawn
        if not apart:
            return None
        wanted = self._poses[index]
        return min(apart, key=lambda other: float(np.abs(self._poses[other] - wanted).mean()))


def _meshes(faces: Faces, indices: list[int], threads: int) -> dict[int, Mesh]:
    """The mesh of each face in which one is found (97 of 100)."""
    first = FaceMesh()
    free: SimpleQueue[FaceMesh] = SimpleQueue()
    for _ in range(threads):
        free.put(first.sibling())

    def found(index: int) -> Mesh | None:
        mesh = free.get()
        try:
            return mesh.points(np.ascontiguousarray(faces.crops[index]))
        finally:
            free.put(mesh)

    with ThreadPoolExecutor(threads, "meshes") as pool:
        every = zip(indices, pool.map(found, indices), strict=True)
        return {index: points.astype(np.float32) for index, points in every if points is not None}


def _pose(mesh: Mesh) -> NDArray[np.float32]:
    """Some points of the mesh, centred and normalised in size."""
    centred = mesh - mesh.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=1).mean())
    return np.asarray((centred / size)[_POSE_POINTS].ravel(), np.float32)


_SEED = 20261122


def with_made_fakes(faces: Faces, recipe: Recipe) -> Faces:
    """The recipe's real faces, each followed by a fake made from it; both degraded alike, as in training.

    Args:
        faces: faces of the validation split.
        recipe: names the collections, and the shares that use another face and a codec.

    Raises:
        DatasetError: a mesh is found in none of them.
    """
    rng = np.random.default_rng(_SEED)
    pairs = BlendedPairs(faces, recipe)
    crops: list[Image] = []
    rows: list[Row] = []
    for index in pairs.usable:
        row = faces.rows[index]
        fake, real = pairs.made_of(index, rng)
        how = sometimes_sent(draw(rng), recipe.sent, rng)
        crops += [degrade(face, how, rng) for face in (real, fake)]
        rows += [Row(row.file, "real", row.source, row.group, row.split)]
        rows += [Row(row.file, "fake", row.source, row.group, row.split, BLENDED)]
    return Faces(np.stack(crops), tuple(rows), (), faces.tables)


BLENDED = "blended"
"""Family of the fakes made here."""
