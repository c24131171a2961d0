"""`sample_weight`: a weight is how often a row stands there, wherever scikit-learn hands weights on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.space import all_ops
from nb201env.surrogate.encodings import make
from nb201env.surrogate.observations import Observations
from nb201env.surrogate.regressor import SurrogateRegressor
from tests.surrogate.conftest import SMALL

COUNTS: IntArray = np.random.default_rng(1).integers(0, 6, size=150)
PLAIN = SMALL | {"subsample": 1.0, "colsample_bytree": 1.0, "random_state": 0}


def fitted(X: Array, y: FloatArray, weight: Any = None, **arguments: Any) -> FloatArray:
    """Values and deviations of the whole space after a fit, float64 [2, 15625]."""
    model = SurrogateRegressor(**SMALL | {"random_state": 0} | arguments)
    return np.stack(model.fit(X, y, sample_weight=weight).predict_all())


@pytest.fixture(scope="module")
def X(train: IntArray) -> IntArray:
    return all_ops()[train]


@pytest.fixture(scope="module")
def y(truth: FloatArray, train: IntArray) -> FloatArray:
    return truth[train]


@pytest.mark.parametrize("sampled", [False, True], ids=["every row in every tree", "rows drawn"])
@pytest.mark.parametrize("encoding", ["paths+graph", "onehot"])
def test_a_weight_is_the_row_so_many_times(X: IntArray, y: FloatArray, encoding: str, sampled: bool) -> None:
    """To the last bit, and even where trees see a random part of the rows: equal rows are one there."""
    arguments: dict[str, Any] = {"encoding": encoding} | ({} if sampled else PLAIN)
    repeated = fitted(X.repeat(COUNTS, axis=0), y.repeat(COUNTS), **arguments)
    np.testing.assert_array_equal(fitted(X, y, COUNTS, **arguments), repeated)
    assert (repeated != fitted(X, y, **arguments)).any()


def test_whatever_order_the_repeated_rows_stand_in(X: IntArray, y: FloatArray) -> None:
    order = np.random.default_rng(0).permutation(COUNTS.sum())
    repeated = fitted(X.repeat(COUNTS, axis=0)[order], y.repeat(COUNTS)[order])
    np.testing.assert_array_equal(fitted(X, y, COUNTS), repeated)


def test_no_weight_is_left_out(X: IntArray, y: FloatArray) -> None:
    kept = COUNTS > 0
    weight = np.where(kept, 1.0, 0.0)
    assert 0 < kept.sum() < len(X)
    np.testing.assert_array_equal(fitted(X, y, weight), fitted(X[kept], y[kept]))


@pytest.mark.parametrize("constant", [1, 2, 0.1, 1e-300, 1e300])
def test_only_ratios_count(X: IntArray, y: FloatArray, constant: float) -> None:
    np.testing.assert_array_equal(fitted(X, y, np.full(len(X), constant)), fitted(X, y))
    scaled = fitted(X, y, COUNTS * constant)
    np.testing.assert_allclose(scaled, fitted(X, y, COUNTS), rtol=1e-4)


def test_several_runs_in_rows_of_their_own_are_their_mean(X: IntArray, y: FloatArray) -> None:
    """Of the mean that is predicted; the deviation also holds how far single runs lie from it."""
    off = np.random.default_rng(2).normal(0, 0.002, len(X))
    twice = np.concatenate([X, X])
    values, deviations = fitted(twice, np.concatenate([y + off, y - off]), target="identity")
    once = fitted(X, y, target="identity")
    np.testing.assert_allclose(values, once[0], atol=1e-5)
    assert deviations.mean() > once[1].mean()


def test_weights_pull(X: IntArray, y: FloatArray) -> None:
    """Of two rows of one architecture the prediction follows the one that weighs more."""
    there, contrary = np.concatenate([X, X]), np.concatenate([y, 1 - y])
    errors = []
    for heavy in (1.0, 3.0, 30.0):
        weight = np.repeat([heavy, 1.0], len(X))
        model = SurrogateRegressor(**PLAIN | {"target": "identity"}).fit(there, contrary, weight)
        errors.append(np.abs(model.predict(X) - y).mean())
    assert errors[0] > 1.5 * errors[1] > 6 * errors[2]


def test_what_is_noisy_may_weigh_less(truth: FloatArray) -> None:
    """The use of it: half of 300 architectures were measured badly."""
    rng = np.random.default_rng(5)
    chosen = rng.permutation(np.flatnonzero(truth > 0.8))[:1300]
    train, rest = chosen[:300], chosen[300:]
    deviation = np.where(np.arange(300) < 150, 0.001, 0.05)
    seen = np.clip(truth[train] + deviation * rng.standard_normal(300), 0, 1)
    errors = []
    for weight in (None, 1 / deviation**2):
        model = SurrogateRegressor(random_state=0, n_members=4).fit(all_ops()[train], seen, weight)
        errors.append(np.abs(model.predict(all_ops()[rest]) - truth[rest]).mean())
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (-1.0, r"^sample_weight are finite numbers of 0 or more; got -1 for row 3 of X$"),
        (np.nan, r"finite numbers of 0 or more; got nan for row 3 of X"),
        (np.inf, r"finite numbers of 0 or more; got inf for row 3 of X"),
    ],
)
def test_what_is_no_weight_is_refused(X: IntArray, y: FloatArray, weight: float, message: str) -> None:
    wrong = np.ones(len(X))
    wrong[3] = weight
    with pytest.raises(ValueError, match=message):
        fitted(X, y, wrong)


@pytest.mark.parametrize(("shape", "said"), [(149, "[149]"), ((150, 1), "[150, 1]"), ((), "[]")])
def test_weights_are_one_for_each_row(X: IntArray, y: FloatArray, shape: Any, said: str) -> None:
    with pytest.raises(ValueError, match="one number for each of the 150 rows of X; got shape") as error:
        fitted(X, y, np.ones(shape))
    assert str(error.value).endswith(said)
    with pytest.raises(ValueError, match="every sample_weight is zero"):
        fitted(X, y, np.zeros(150))


# -- the statistics ------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-5, 5), st.integers(0, 4)), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_observations_are_numpys_weighted_statistics(rows: list[tuple[int, float, int]]) -> None:
    X, values, weight = (np.array(column) for column in zip(*rows, strict=True))
    if not weight.any():
        return
    seen = Observations.of(X[:, None], values, weight)
    repeated = values.repeat(weight)
    assert seen.mean() == pytest.approx(repeated.mean(), abs=1e-12)
    assert seen.deviation() == pytest.approx(repeated.std(), abs=1e-7)
    assert set(X[seen.rows]) == set(X[weight > 0])
    for row, value, scatter in zip(X[seen.rows], seen.values, seen.scatter, strict=True):
        alike = values[row == X].repeat(weight[row == X])
        assert value == pytest.approx(alike.mean(), abs=1e-12)
        assert scatter == pytest.approx(alike.var(), abs=1e-12)
    assert seen.weight is None or seen.weight.mean() == pytest.approx(1)


def test_different_rows_stay_what_they_are() -> None:
    X, values = np.array([[3, 1], [0, 2], [3, 0]]), np.array([0.1, 0.7, 0.3])
    seen = Observations.of(X, values, None)
    assert seen.rows.tolist() == [0, 1, 2]
    assert seen.values.tolist() == values.tolist()
    assert seen.weight is None
    assert not seen.scatter.any()


# -- through scikit-learn's tools ----------------------------------------------------------------


@pytest.fixture
def routing() -> Iterator[None]:
    with config_context(enable_metadata_routing=True):
        yield


def _own_folds(X: Array, y: FloatArray, weight: Array, **arguments: Any) -> list[float]:
    """Weighted R2 of three folds, by hand."""
    scores = []
    for out in np.array_split(np.arange(len(X)), 3):
        kept = np.setdiff1d(np.arange(len(X)), out)
        model = SurrogateRegressor(**PLAIN | arguments).fit(X[kept], y[kept], weight[kept])
        scores.append(model.score(X[out], y[out], weight[out]))
    return scores


def _routed(**arguments: Any) -> SurrogateRegressor:
    """A regressor that asks for weights, in `fit` and `score`."""
    model = SurrogateRegressor(**PLAIN | arguments)
    model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    return model


@pytest.mark.usefixtures("routing")
def test_cross_validation_hands_weights_on(X: IntArray, y: FloatArray) -> None:
    scores = cross_val_score(_routed(), X, y, cv=3, params={"sample_weight": COUNTS})
    np.testing.assert_array_equal(scores, _own_folds(X, y, COUNTS))
    assert scores.tolist() != _own_folds(X, y, np.ones(len(X)))


@pytest.mark.usefixtures("routing")
def test_a_grid_of_pipelines_hands_weights_on(X: IntArray, y: FloatArray) -> None:
    pipeline = Pipeline([("encode", make("paths+graph")), ("model", _routed(encoding=None))])
    scorer = make_scorer(r2_score).set_score_request(sample_weight=True)
    grid = GridSearchCV(pipeline, {"model__max_depth": [2, 5]}, cv=3, scoring=scorer)
    grid.fit(X, y, sample_weight=COUNTS)
    features = make("paths+graph").transform(X)
    for number, depth in enumerate((2, 5)):
        expected = np.mean(_own_folds(features, y, COUNTS, encoding=None, max_depth=depth))
        assert grid.cv_results_["mean_test_score"][number] == pytest.approx(expected, abs=1e-12)
    again = clone(grid.best_estimator_["model"]).fit(features, y, COUNTS).predict(features)
    np.testing.assert_array_equal(grid.predict(X), again)


@pytest.mark.parametrize("ensemble", [BaggingRegressor, AdaBoostRegressor])
def test_ensembles_hand_weights_on(X: IntArray, y: FloatArray, ensemble: Any) -> None:
    """A weight of zero leaves a row out of every member: what stood there does not matter."""
    spoilt = np.where(COUNTS > 0, y, 0.0)
    one, other = (
        ensemble(SurrogateRegressor(**PLAIN), n_estimators=3, random_state=0)
        .fit(X, values, sample_weight=COUNTS)
        .predict(X)
        for values in (y, spoilt)
    )
    np.testing.assert_array_equal(one, other)
    assert np.corrcoef(one, y)[0, 1] > 0.7
