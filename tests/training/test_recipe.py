"""The official recipe, number by number."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nb201env.training.recipe import PRESETS, Recipe


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
