"""Recipe files: those of the repository are valid, and errors name the key."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from stream_detect.errors import TrainingError
from stream_detect.models.registry import Registry
from stream_detect.training.recipe import Pairing, Recipe
from stream_detect.training.recipe_file import checked, read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"


def write(folder: Path, text: str) -> Path:
    file = folder / "recipe.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_recipe_sets_what_it_names_and_leaves_the_rest(tmp_path):
    text = 'name = "mine"\ndata = ["faces", "more/faces.csv"]\nsteps = 10\nsources = ["fairface"]\nblended = 1\n'
    read = read_recipe(write(tmp_path, text))
    assert read.name == "mine"
    assert read.data == (Path("faces"), Path("more/faces.csv"))
    assert Recipe(**read.values) == Recipe(steps=10, sources=("fairface",), blended=1.0)
    assert set(read.values) == {"steps", "sources", "blended"}


def test_pairings_are_tables_that_know_their_lines(tmp_path):
    text = """steps = 10
[[pairings]]
share = 0.5
family = "swap"
same_group = "preferred"
same_source = 0.5

[[ pairings ]]
share = 2
fake = "dfdc"
real = ["a", "b"]
"""
    file = write(tmp_path, text)
    first, second = read_recipe(file).values["pairings"]
    assert first == Pairing(0.5, family="swap", same_group="preferred", same_source=0.5)
    assert second == Pairing(2.0, "dfdc", ("a", "b"))
    assert [each.origin for each in (first, second)] == [f"{file}, line 2", f"{file}, line 8"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stesp = 10\n", r"recipe\.toml, line 1: stesp is not part of a recipe; did you mean steps\?"),
        ("zzz = 10\n", r"zzz is not part of a recipe; expected one of architecture, steps"),
        ('# comment\nsteps = "many"\n', r"recipe\.toml, line 2: steps: .*integer.*'many'"),
        ("steps = 5\n\nblended = 2\n", r"line 3: expected a share of pairs to be blended"),
        ("steps = [\n", r"expected a recipe in TOML at .*recipe\.toml"),
        ("name = 5\n", r"line 1: name: expected the bundle's name as text, received 5"),
        ('data = "faces"\n', r"line 1: data: expected a list of folders or tables, received 'faces'"),
        ("weight_decay = 0.1\n", r'line 1: .*optimizer = "adamw" .*received 0\.1 and adam'),
        ('optimizer = "sgd"\n', r"line 1: optimizer: .*'adam' or 'adamw', received 'sgd'"),
        ('initial = "imagnet"\n', r"initial: .*'random' or 'imagenet'"),
        ("gradient_norm = -1.0\n", r"gradient_norm of 0 .*received -1"),
        ("learning_rate = nan\n", r"learning_rate above 0, received nan"),
        ("ema = 1.0\n", r"expected ema in \[0, 1\), received 1\.0"),
        ("validate_every = 0\n", r"line 1: .*validate_every >= 1"),
        ("blended_with_other = 0.5\n", r"blended above 0, received 0\.5 and 0\.0"),
        ("pairings = []\n", r"expected one pairing or more, received none"),
        ("pairings = [3]\n", r"line 1: .*received 3"),
        ("[[pairings]]\nfamily = 'swap'\n", r"line 1: share: Field required"),
        ("[[pairings]]\nshare = 1\n[[pairings]]\nshare = 0\n", r"line 4: expected a pairing's share above 0"),
        ("[[pairings]]\nshare = 1\nfamly = 'swap'\n", r"line 3: famly is not part of a pairing; did you mean family\?"),
        ("[[pairings]]\nshare = 1\norigin = 'x'\n", r"line 3: origin is not part of a pairing"),
        ("[[pairings]]\nshare = 1\nsame_group = 'maybe'\n", r"line 3: same_group: .*received 'maybe'"),
        ("[[pairings]]\nshare = 1\nsame_group = true\nsame_source = 0.5\n", r'line 4: .*same_group = false or "pref'),
    ],
)
def test_a_wrong_recipe_is_named_with_its_key(tmp_path, text, expected):
    with pytest.raises(TrainingError, match=expected):
        read_recipe(write(tmp_path, text))


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"expected a recipe at .*absent\.toml"):
        read_recipe(tmp_path / "absent.toml")


def test_an_option_over_a_recipe_is_checked_too():
    with pytest.raises(TrainingError, match=r"precision: .*received 'float8'"):
        checked({"steps": 5, "precision": "float8"})


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_every_recipe_of_the_repository_can_be_used(file):
    read = read_recipe(file)
    recipe = checked(read.values)
    assert read.name == file.stem
    assert f"stream-detect train --recipe recipes/{file.name} " in file.read_text(encoding="utf-8")
    assert sum(pairing.share for pairing in recipe.pairings) == pytest.approx(1)


def test_the_short_recipe_is_the_default_s_but_for_its_length_and_its_batches():
    whole, short = (checked(read_recipe(RECIPES / f"{name}.toml").values) for name in ("lite0-faces", "leave-one-out"))
    of_length = ("steps", "restarts", "cycle_share", "batch", "learning_rate", "warmup_steps", "validate_every")
    assert replace(short, **{key: getattr(whole, key) for key in of_length}) == whole


@pytest.mark.parametrize("bundle", Registry.of(None).names())
def test_every_shipped_model_has_its_recipe_in_the_repository(bundle):
    read = read_recipe(RECIPES / f"{bundle}.toml")
    name, values = read.name, read.values
    card = Registry.of(None).load(bundle).card
    assert (name, Recipe(**values).architecture) == (card.name, card.architecture)
    if "--recipe" in card.training.recipe:
        assert f"--recipe recipes/{name}.toml" in card.training.recipe
        return
    # The command in the card has the same numbers.
    for option in (f"--steps {values['steps']} ", f"--batch {values['batch']} ", f"--seed {values.get('seed', 1)}"):
        assert option in f"{card.training.recipe} "


def test_the_document_explains_every_key():
    text = (RECIPES.parent / "docs" / "models.md").read_text(encoding="utf-8")
    section = text[text.index("### Recipes") : text.index("### Fast on a CPU")]
    for kind in (Recipe, Pairing):
        assert not [each.name for each in fields(kind) if each.name != "origin" and f"`{each.name}`" not in section]
