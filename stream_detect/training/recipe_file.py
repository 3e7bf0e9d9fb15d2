"""A recipe as a file (recipes/*.toml in the repository): TOML enters, the bundle's name and checked values leave."""

import difflib
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stream_detect.errors import TrainingError
from stream_detect.training.recipe import Recipe

NAME = "name"
"""The one key that is no number of the training: what the bundle is called."""


def read_recipe(file: Path) -> tuple[str | None, dict[str, Any]]:
    """The bundle's name, None where it is not given, and the recipe's values that the file sets.

    Raises:
        TrainingError: it cannot be read, or has a key or value that a recipe has not.
    """
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"expected a recipe at {file}, cannot read it: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise TrainingError(f"expected a recipe in TOML at {file}: {error}") from error
    name = given.pop(NAME, None)
    if name is not None and not isinstance(name, str):
        raise TrainingError(f"{file}: name: expected the bundle's name as text, received {name!r}")
    known = {field.name: field.type for field in fields(Recipe)}
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            cure = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            raise TrainingError(f"{file}: {key} is not part of a recipe; {cure}")
    try:
        recipe = TypeAdapter(Recipe).validate_python(given)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in found["loc"])
        raise TrainingError(f"{file}: {place}: {found['msg']}, received {found['input']!r}") from error
    return name, {key: getattr(recipe, key) for key in given}
