"""How well scores rank architectures: SciPy's correlations of known scores."""

from __future__ import annotations

import math
from types import MappingProxyType

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata, spearmanr

from nb201env import cost, open_table
from nb201env.arrays import FloatArray
from nb201env.classes import representatives
from nb201env.proxies import Proxies
from nb201env.proxies.agreement import Agreement, agreements, scores
from nb201env.space import SIZE

CLASSES = len(representatives())
TABLE = open_table("cifar100-200")
ACCURACY = TABLE.accuracy(split="valid", epochs=200, run="mean")
RNG = np.random.default_rng(0)


def proxies(*names: str) -> Proxies:
    """Made-up proxies at two initialisations."""
    values = {name: RNG.normal(size=(2, CLASSES)) for name in names}
    return Proxies(MappingProxyType(values), dict.fromkeys(names, ""), {}, "MIT")


def by_name(found: dict[str, FloatArray], accuracy: FloatArray = ACCURACY) -> dict[str, Agreement]:
    return {one.name: one for one in agreements(found, accuracy)}


def test_correlations_are_scipys() -> None:
    noisy = ACCURACY + RNG.normal(0, 0.05, (3, SIZE))
    found = by_name({"noisy": noisy})["noisy"]
    top = np.quantile(ACCURACY, 0.9) <= ACCURACY
    for each, values in zip(found.each, noisy, strict=True):
        assert each.kendall == pytest.approx(kendalltau(values, ACCURACY).statistic)
        assert each.spearman == pytest.approx(spearmanr(values, ACCURACY).statistic)
        assert each.kendall_top == pytest.approx(kendalltau(values[top], ACCURACY[top]).statistic)
    assert found.mean.kendall == pytest.approx(kendalltau(noisy.mean(axis=0), ACCURACY).statistic)
    taus = [each.kendall for each in found.each]
    assert found.typical("kendall") == pytest.approx((np.mean(taus), (max(taus) - min(taus)) / 2))


def test_the_best_comes_first_and_what_ranks_nothing_last() -> None:
    found = {"constant": np.ones((1, SIZE)), "right": ACCURACY[None], "wrong": -ACCURACY[None]}
    made = agreements(found, ACCURACY)
    assert [one.name for one in made] == ["right", "wrong", "constant"]
    assert [one.mean.kendall for one in made[:2]] == [1.0, -1.0]
    assert math.isnan(made[2].mean.kendall)


def test_missing_accuracies_do_not_count() -> None:
    some = ACCURACY.copy()
    some[100:] = np.nan
    found = by_name({"own": -ACCURACY[None]}, some)["own"]
    assert found.mean.kendall == -1.0
    with pytest.raises(ValueError, match="the accuracy of 0 architectures is known; two are needed to rank"):
        agreements({"own": ACCURACY[None]}, np.full(SIZE, np.nan))


def test_sizes_stand_beside_the_proxies() -> None:
    found = scores(proxies("a"), TABLE)
    assert {*found} == {"a", "params", "macs"}
    assert found["macs"].tolist() == [cost.macs(np.arange(SIZE), "cifar100").tolist()]
    assert found["a"].shape == (2, SIZE)


def test_az_nas_is_the_sum_of_the_logarithms_of_ranks() -> None:
    made = proxies("expressivity", "progressivity", "trainability", "other")
    found = scores(made, TABLE)
    assert {*found} == {*made.names, "params", "macs", "az_nas"}
    for number in range(2):
        parts = [made.scores(name, initialisation=number) for name in made.names if name != "other"]
        parts.append(cost.macs(np.arange(SIZE), "cifar100").astype(float))
        wanted = sum(np.log(rankdata(part) / SIZE) for part in parts)
        assert found["az_nas"][number] == pytest.approx(wanted)
