"""Recipes as files: the repository's are usable, a wrong one is named with its key."""

from pathlib import Path

import pytest

from stream_detect.errors import TrainingError
from stream_detect.models.registry import Registry
from stream_detect.training.recipe import Recipe, read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"


def write(folder: Path, text: str) -> Path:
    file = folder / "recipe.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_recipe_sets_what_it_names_and_leaves_the_rest(tmp_path):
    name, values = read_recipe(write(tmp_path, 'name = "mine"\nsteps = 10\nsources = ["fairface"]\nblended = 1\n'))
    assert name == "mine"
    assert Recipe(**values) == Recipe(steps=10, sources=("fairface",), blended=1.0)
    assert set(values) == {"steps", "sources", "blended"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stesp = 10\n", r"recipe\.toml: stesp is not part of a recipe; did you mean steps\?"),
        ("zzz = 10\n", r"zzz is not part of a recipe; expected one of architecture, steps"),
        ('steps = "many"\n', r"recipe\.toml: steps: .*integer.*'many'"),
        ("blended = 2\n", r"share of pairs to be blended"),
        ("steps = [\n", r"expected a recipe in TOML at .*recipe\.toml"),
        ("name = 5\n", r"name: expected the bundle's name as text, received 5"),
    ],
)
def test_a_wrong_recipe_is_named_with_its_key(tmp_path, text, expected):
    with pytest.raises(TrainingError, match=expected):
        read_recipe(write(tmp_path, text))


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"expected a recipe at .*absent\.toml"):
        read_recipe(tmp_path / "absent.toml")


@pytest.mark.parametrize("bundle", Registry.of(None).names())
def test_every_shipped_model_has_its_recipe_in_the_repository(bundle):
    name, values = read_recipe(RECIPES / f"{bundle}.toml")
    card = Registry.of(None).load(bundle).card
    assert (name, Recipe(**values).architecture) == (card.name, card.architecture)
    if "--recipe" in card.training.recipe:
        assert f"--recipe recipes/{name}.toml" in card.training.recipe
        return
    # The card's own command says the same numbers.
    for option in (f"--steps {values['steps']} ", f"--batch {values['batch']} ", f"--seed {values.get('seed', 1)}"):
        assert option in f"{card.training.recipe} "
