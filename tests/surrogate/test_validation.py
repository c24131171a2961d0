"""Cross-validation says how good a surrogate is, in folds of whole classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes
from nb201env.space import SIZE, all_ops
from nb201env.surrogate import fit_evaluations
from nb201env.surrogate.metrics import scores
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.surrogate.validation import cross_validate
from tests.surrogate.conftest import SMALL
from tests.surrogate.test_evaluations import ACCURACY, SOME


def test_cross_validation_is_near_the_truth(truth: FloatArray, train: IntArray) -> None:
    """What the folds say of 150 architectures, against the other 15,475."""
    regressor = SurrogateRegressor(random_state=0, **SMALL)
    found = cross_validate(regressor, all_ops()[train], truth[train], 5)
    rest = np.setdiff1d(np.arange(SIZE), train)
    real = scores(truth[rest], regressor.fit(all_ops()[train], truth[train]).predict(all_ops()[rest]))
    assert found["folds"] == 5
    assert found["scores"]["kendall_tau"] == pytest.approx(real["kendall_tau"], abs=0.05)
    interval = found["kendall_tau_95"]
    assert interval["low"] < found["scores"]["kendall_tau"] < interval["high"]
    assert 0 < found["spread"]["kendall_tau"] < 0.1
    assert found["scores"].keys() == {"kendall_tau", "spearman", "r2", "mae", "coverage_80"}


def test_no_class_stands_on_both_sides() -> None:
    seen: list[tuple[set[int], set[int]]] = []
    trained: list[set[int]] = []

    class Watched(SurrogateRegressor):
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Watched:
            trained.append(set(y.tolist()))
            return super().fit(X, y, sample_weight)

        def predict(self, X: Any, return_std: bool = False) -> Any:
            asked = set(canonical_classes()[X @ 5 ** np.arange(5, -1, -1)].tolist())
            seen.append((trained[-1], asked))
            return SurrogateRegressor.predict(self, X, return_std)  # type: ignore[call-overload]

    index = np.arange(0, 200)
    values = canonical_classes()[index] / SIZE  # a class has a value of its own
    cross_validate(Watched(**SMALL), all_ops()[index], values, 4)
    assert len(seen) == 4
    for known, asked in seen:
        assert known.isdisjoint({one / SIZE for one in asked})


@pytest.mark.parametrize(("count", "folds", "used"), [(20, 10, 5), (30, 10, 7), (30, 2, 2), (7, 10, None)])
def test_few_architectures_make_few_folds(count: int, folds: int, used: int | None) -> None:
    found = cross_validate(SurrogateRegressor(**SMALL), all_ops()[SOME[:count]], ACCURACY[:count], folds)
    assert found.get("folds") == used


def test_one_class_or_one_value_has_no_order() -> None:
    (one,) = (np.flatnonzero(canonical_classes() == c) for c in [np.bincount(canonical_classes()).argmax()])
    assert cross_validate(SurrogateRegressor(**SMALL), all_ops()[one[:20]], ACCURACY[:20], 10) == {}
    flat = cross_validate(SurrogateRegressor(**SMALL), all_ops()[SOME], np.full(30, 0.5), 3)
    assert "kendall_tau" not in flat["scores"]
    assert "kendall_tau_95" not in flat
    assert flat["scores"]["mae"] == pytest.approx(0, abs=1e-6)


def test_it_is_the_same_whatever_the_threads() -> None:
    first, second = (fit_evaluations(SOME, ACCURACY, n_jobs=n, settings=SMALL, folds=2) for n in (1, 2))
    assert first.manifest == second.manifest
