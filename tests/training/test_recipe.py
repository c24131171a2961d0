"""The official recipe, number by number, and recipes of one's own."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nb201env.cli import build as program
from nb201env.training.recipe import FIELDS, PRESETS, Recipe, as_options, read_recipe


@pytest.mark.parametrize(("name", "epochs"), [("official-12", 12), ("official-200", 200)])
def test_the_official_recipe(name: str, epochs: int) -> None:
    recipe = PRESETS[name]
    assert recipe == Recipe(
        name, epochs, width=16, cells=5, batch=256, learning_rate=0.1, momentum=0.9, nesterov=True,
        weight_decay=5e-4, flip=True, pad=4, train_images=0,
    )  # fmt: skip
    rates = [recipe.rate(epoch) for epoch in range(epochs)]
    assert rates[0] == 0.1
    assert rates[epochs // 2] == pytest.approx(0.05)
    assert 0 < rates[-1] < rates[-2]


def test_no_two_presets_train_alike() -> None:
    assert len({replace(recipe, name="") for recipe in PRESETS.values()}) == len(PRESETS)


# -- recipes of one's own --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        ("small-12", [], PRESETS["small-12"]),
        ("small-12", ["epochs=3"], replace(PRESETS["small-12"], name="small-12+epochs=3", epochs=3)),
        ("smoke-2", ["epochs=3,width=4", " batch = 8 "],
         replace(PRESETS["smoke-2"], name="smoke-2+epochs=3+width=4+batch=8", epochs=3, width=4, batch=8)),
        ("smoke-2", ["name=a, b=c", "learning_rate=1,nesterov=false,momentum=0"],
         replace(PRESETS["smoke-2"], name="a, b=c", learning_rate=1.0, nesterov=False, momentum=0.0)),
        ("smoke-2", ["weight_decay=1e-3,pad=1"],
         replace(PRESETS["smoke-2"], name="smoke-2+weight_decay=1e-3+pad=1", weight_decay=1e-3, pad=1)),
    ],
)  # fmt: skip
def test_a_preset_with_changes(base: str, changes: list[str], expected: Recipe) -> None:
    found = read_recipe(base, changes)
    assert found == expected
    assert isinstance(found.learning_rate, float)  # a plan of 1 would be another than one of 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["epochs=3.5"], "--set: epochs: should be a whole number in 1..10000, not 3.5"),
        (["epochs=0"], "--set: epochs: should be a whole number in 1..10000, not 0"),
        (["epochs=true"], "--set: epochs: should be a whole number in 1..10000, not true"),
        (["epochs=1e1"], "--set: epochs: should be a whole number in 1..10000, not 10.0"),
        (["epochs=three"], '--set: epochs: should be a whole number in 1..10000, not "three"'),
        (["epochs=" + "9" * 5000], "--set: epochs: should be a whole number in 1..10000, not"),
        (["momentum=nan"], '--set: momentum: should be a number in 0..1, not "nan"'),
        (["momentum=2"], "--set: momentum: should be a number in 0..1, not 2"),
        (["learning_rate=-0.1"], "--set: learning_rate: should be a number in 0.."),
        (["learning_rate=inf"], '--set: learning_rate: should be a number in 0..1e+38, not "inf"'),
        (["weight_decay=1e999"], "--set: weight_decay: should be a number in 0..1e+38, not"),
        (["flip=yes"], '--set: flip: should be true or false, not "yes"'),
        (["nesterov=0"], "--set: nesterov: should be true or false, not 0"),
        (["momentum=0"], "nesterov: needs a momentum above 0"),
        (["epoch=3"], "unknown recipe field 'epoch'; did you mean 'epochs'?"),
        (["seed=3"], "unknown recipe field 'seed'; the recipe fields are name, epochs, width"),
        (["epochs"], "--set takes NAME=VALUE, such as epochs=3,width=4; got 'epochs'"),
        ([""], "--set takes NAME=VALUE, such as epochs=3,width=4; got ''"),
        (["epochs=3,"], "--set takes NAME=VALUE, such as epochs=3,width=4; got ''"),
        (["epochs="], "--set gives epochs no value"),
        (["epochs=3", "epochs=4"], "--set names epochs twice"),
        (["name="], "--set gives name no value"),
        (["name=a\nb"], "a recipe's name is a line of at most 100 characters"),
        (["name=" + "x" * 101], "a recipe's name is a line of at most 100 characters"),
        ([f"learning_rate=0.{'0' * 90}1"], "--set makes too many changes for a name made of them"),
    ],
)
def test_changes_that_cannot_be(changes: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        read_recipe("smoke-2", changes)
    assert str(error.value).isprintable()


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    """What is left out is the official recipe's, and its name the file's."""
    path = tmp_path / "mine.json"
    path.write_text('{"epochs": 3, "learning_rate": 1, "flip": false}')
    mine = Recipe("mine", epochs=3, learning_rate=1.0, flip=False)
    assert read_recipe(str(path)) == mine
    assert read_recipe(str(path), ["width=4"]) == replace(mine, name="mine+width=4", width=4)
    path.write_text(json.dumps(asdict(PRESETS["digits-10"])))
    assert read_recipe(str(path)) == PRESETS["digits-10"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "should be an object, not a list of 0"),
        ("{}", "epochs is missing; it should be a whole number in 1..10000"),
        ('{"epochs": 3.0}', "epochs: should be a whole number in 1..10000, not 3.0"),
        ('{"epochs": 3, "Width": 4}', "unknown recipe field 'Width'; did you mean 'width'?"),
        ('{"epochs": 3, "momentum": NaN}', "not JSON (NaN is not a number of JSON)"),
        ('{"epochs": 3, "name": 4}', "name: should be a text, not 4"),
        ('{"epochs": 3', "not JSON"),
        ("\x80", "not JSON"),
        ('{"epochs": 3' + " " * 100_000 + "}", "mine.json"),
    ],
)
def test_a_file_that_is_no_recipe(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        read_recipe(str(path))
    assert str(path) in str(error.value)
    assert str(error.value).isprintable()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for text in (str(tmp_path / "mine"), "mine.json"):
        with pytest.raises(OSError, match="mine"):
            read_recipe(text)
    with pytest.raises(ValueError, match="unknown recipe 'mine'; the presets are official-12"):
        read_recipe("mine")


@pytest.mark.parametrize("value", [None, True, -1, 3.5, float("nan"), float("inf"), "3", [], 10**30])
def test_every_value_of_a_recipe_is_checked(value: Any) -> None:
    for field, kind in FIELDS.items():
        rate = field in ("learning_rate", "weight_decay")
        if (kind, value) in (("str", "3"), ("bool", True)) or (rate and value in (3.5, 10**30)):
            continue
        with pytest.raises(ValueError, match=f"{field}: should be") as error:
            replace(PRESETS["small-12"], **{field: value})
        assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "recipe",
    [
        *PRESETS.values(),
        replace(PRESETS["smoke-2"], name="smoke-2+epochs=3", epochs=3),
        Recipe("a, b's\"=$HOME", 7, 3, 2, 1, 0.5, 0.25, False, 1e-7, False, 9, 11),
        replace(PRESETS["digits-10"], name="same"),
        replace(PRESETS["digits-10"], width=3),
    ],
    ids=lambda recipe: recipe.name,
)
def test_the_options_make_the_recipe(recipe: Recipe) -> None:
    """A table's manifest names a command that can be run again."""
    words = shlex.split(as_options(recipe))
    assert words[::2] == ["--recipe"] + ["--set"] * (len(words) // 2 - 1)
    assert read_recipe(words[1], words[3::2]) == recipe


def test_help_lists_the_presets() -> None:
    printed = CliRunner(env={"COLUMNS": "80"}).invoke(program(), ["build", "--help"]).output
    words = printed.replace("│", " ").split()
    assert all({name, f"{name},"} & {*words} for name in PRESETS)
