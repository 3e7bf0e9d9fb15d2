"""Recipes in TOML: reads and validates the hyperparameters of a training; errors name the line."""

import difflib
import re
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stream_detect.errors import TrainingError
from stream_detect.training.recipe import Pairing, Recipe, RecipeValueError


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """Content of a recipe file.

    Args:
        name: name of the bundle; None if not set.
        data: folders or tables, relative to the working directory; empty if not set.
        values: values of the recipe set in the file.
    """

    name: str | None
    data: tuple[Path, ...]
    values: dict[str, Any]


_BESIDE = ("name", "data")
"""Keys of the file that are not parameters of the training."""


def read_recipe(file: Path) -> RecipeFile:
    """Reads a recipe in TOML.

    Raises:
        TrainingError: it cannot be read, or contains an invalid key or value; names the file and the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
        given = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"expected a recipe at {file}, but it cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"expected a recipe in TOML at {file}: {error}") from error
    reader = _Reader(file, text)
    name, data = given.pop("name", None), given.pop("data", [])
    if name is not None and not isinstance(name, str):
        raise TrainingError(f"{reader.at('name')}: name: expected the bundle's name as text, received {name!r}")
    if not isinstance(data, list) or not all(isinstance(each, str) and each for each in data):
        raise TrainingError(f"{reader.at('data')}: data: expected a list of folders or tables, received {data!r}")
    return RecipeFile(name, tuple(Path(each) for each in data), reader.values(given))


class _Reader:
    """Checks the values of a file, and finds the lines of invalid ones."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._lines = text.splitlines()

    def at(self, key: str, pairing: int | None = None) -> str:
        """File and line of a key of the recipe or of one of its pairings; only the file if it is not found."""
        begins = [number for number, line in enumerate(self._lines) if re.match(r"\s*\[\[\s*pairings\s*\]\]", line)]
        begin, end = 0, begins[0] if begins else len(self._lines)
        if pairing is not None and pairing < len(begins):
            begin, end = begins[pairing], [*begins, len(self._lines)][pairing + 1]
        elif pairing is not None:
            key = "pairings"
        pattern = re.compile(rf"[\s\"\']*{re.escape(key)}[\s\"\']*=")
        numbers = [number for number in range(begin, end) if pattern.match(self._lines[number])]
        number = numbers[0] if numbers else begin if pairing is not None else None
        return f"{self._file}" if number is None else f"{self._file}, line {number + 1}"

    def values(self, given: dict[str, Any]) -> dict[str, Any]:
        self._check_keys(given, [each.name for each in fields(Recipe)], "a recipe", None)
        pairings = given.get("pairings")
        if isinstance(pairings, list):
            known = [each.name for each in fields(Pairing) if each.name != "origin"]
            for number, each in enumerate(pairings):
                if isinstance(each, dict):
                    self._check_keys(each, known, "a pairing", number)
            given = given | {"pairings": [self._pairing(each, number) for number, each in enumerate(pairings)]}
        recipe = self._checked(Recipe, given, None)
        return {key: getattr(recipe, key) for key in given}

    def _pairing(self, given: Any, number: int) -> Pairing:
        pairing: Pairing = self._checked(Pairing, given, number)
        return replace(pairing, origin=self.at("", number))

    def _check_keys(self, given: dict[str, Any], known: list[str], what: str, pairing: int | None) -> None:
        for key in given:
            if key not in known:
                near = difflib.get_close_matches(key, [*known, *(_BESIDE if pairing is None else ())], n=1)
                cure = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
                raise TrainingError(f"{self.at(key, pairing)}: {key} is not part of {what}; {cure}")

    def _checked(self, kind: type[Any], given: Any, pairing: int | None) -> Any:
        try:
            return TypeAdapter(kind).validate_python(given)
        except RecipeValueError as error:
            raise TrainingError(f"{self.at(error.key, pairing)}: {error}") from error
        except ValidationError as error:
            found = error.errors(include_url=False)[0]
            key = str(found["loc"][0]) if found["loc"] else ""
            place = f"{key}: " if key else ""
            raise TrainingError(
                f"{self.at(key, pairing)}: {place}{found['msg']}, received {found['input']!r}"
            ) from error


def checked(values: dict[str, Any]) -> Recipe:
    """Makes a recipe from values of a file, overridden by options of a command.

    Raises:
        TrainingError: one of them is invalid.
    """
    try:
        recipe: Recipe = TypeAdapter(Recipe).validate_python(values)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise TrainingError(f"{found['loc'][0]}: {found['msg']}, received {found['input']!r}") from error
    return recipe
