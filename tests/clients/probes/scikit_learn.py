"""scikit-learn and pandas: the surrogate's estimators and encodings in their tools, by weight and name."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import sklearn
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor, StackingRegressor
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import RidgeCV
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import nb201env
from nb201env.architecture import all_strings
from nb201env.arrays import FloatArray, IntArray
from nb201env.space import EDGES, OPS, SIZE, decode
from nb201env.surrogate import CurveRegressor, SurrogateRegressor
from nb201env.surrogate.encodings import make
from tests.clients.probes import row, run

SMALL: dict[str, Any] = {"n_members": 3, "n_estimators": 40, "random_state": 0}
TRUTH = nb201env.open_table("cifar10-valid-200").accuracy(split="valid", epochs=200, run="mean")
TRAIN, REST = np.split(np.random.default_rng(0).permutation(SIZE)[:1200], [200])
EDGE_NAMES = [f"{source}_{target}" for source, target in EDGES]


def strings(index: IntArray) -> pd.DataFrame:
    """A column of official strings."""
    return pd.DataFrame({"architecture": [all_strings()[i] for i in index]}, index=index)


def ops(index: IntArray) -> pd.DataFrame:
    """A column of op names for each edge."""
    return pd.DataFrame(np.array(OPS)[decode(index)], index, EDGE_NAMES)


def ranks(predicted: FloatArray) -> None:
    """Predictions of the rest must rank it as the table does."""
    assert type(predicted) is np.ndarray
    assert spearmanr(predicted, TRUTH[REST]).statistic > 0.7


@row("check_estimator", adds="encoding=None, target='identity'")
def checks() -> None:
    any_features = SurrogateRegressor(encoding=None, target="identity", **SMALL)
    check_estimator(any_features, on_skip=None)
    check_estimator(CurveRegressor(any_features, target="identity"), on_skip=None)


def routed(**arguments: Any) -> SurrogateRegressor:
    """A regressor that asks for weights, in `fit` and `score`."""
    model = SurrogateRegressor(**SMALL | arguments)
    model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    return model


@row("cross_val_score, weights routed")
def cross_validation() -> None:
    """A third of the rows is wrong and weighs nothing: only with the weights do the scores come out right."""
    weight = np.where(np.arange(len(TRAIN)) % 3, 1.0, 0.0)
    spoilt = np.where(weight > 0, TRUTH[TRAIN], 1 - TRUTH[TRAIN])
    with sklearn.config_context(enable_metadata_routing=True):
        model = routed(target="identity")
        found = [
            cross_val_score(model, strings(TRAIN), spoilt, cv=3, params={"sample_weight": one}).mean()
            for one in (weight, np.ones(len(TRAIN)))
        ]
    assert found[0] > 0.3 > 0.1 > found[1]


@row("GridSearchCV over a pipeline, weights routed")
def grid() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(make("paths+graph"), routed(encoding=None))
        scorer = make_scorer(r2_score).set_score_request(sample_weight=True)
        search = GridSearchCV(pipeline, {"surrogateregressor__max_depth": [1, 5]}, scoring=scorer, cv=3)
        search.fit(strings(TRAIN), TRUTH[TRAIN], sample_weight=np.ones(len(TRAIN)))
    ranks(search.predict(strings(REST)))


@row("pipelines, set_output(transform='pandas')")
def pipelines() -> None:
    model = SurrogateRegressor(encoding=None, **SMALL)
    pipeline = make_pipeline(make("onehot+paths"), model).set_output(transform="pandas")
    ranks(pipeline.fit(strings(TRAIN), TRUTH[TRAIN]).predict(strings(REST)))
    assert pipeline[-1].feature_names_in_[3] == "onehot__edge_0_1=nor_conv_3x3"


@row("ColumnTransformer beside other columns")
def column_transformer() -> None:
    frame = strings(TRAIN).assign(learning_rate=0.1)
    both = ColumnTransformer([("cell", make("graph"), ["architecture"])], remainder="passthrough")
    found = both.set_output(transform="pandas").fit_transform(frame)
    assert found.shape == (len(TRAIN), 76)
    assert found.index.equals(frame.index)


@row("Bagging, AdaBoost, Stacking")
def ensembles() -> None:
    model = SurrogateRegressor(**SMALL)
    for ensemble in (
        BaggingRegressor(model, 3, random_state=0),
        AdaBoostRegressor(model, n_estimators=3, random_state=0),
        StackingRegressor(
            [("graph", model), ("paths", clone(model).set_params(encoding="paths"))], RidgeCV()
        ),
    ):
        ranks(ensemble.fit(decode(TRAIN), TRUTH[TRAIN]).predict(decode(REST)))


@row("permutation_importance, partial_dependence by name")
def inspection() -> None:
    model = SurrogateRegressor(**SMALL).fit(ops(TRAIN), TRUTH[TRAIN])
    found = permutation_importance(model, ops(REST), TRUTH[REST], n_repeats=3, random_state=0)
    assert found.importances_mean.min() > 0
    by_op = partial_dependence(model, ops(REST), ["0_3"], categorical_features=["0_3"])
    mean = dict(zip(by_op["grid_values"][0], by_op["average"][0], strict=True))
    truth = {
        op: TRUTH[decode(np.arange(SIZE))[:, EDGE_NAMES.index("0_3")] == n].mean() for n, op in enumerate(OPS)
    }
    assert max(mean, key=mean.__getitem__) == max(truth, key=truth.__getitem__)


@row("clone, pickle, joblib")
def copies() -> None:
    model = SurrogateRegressor(**SMALL).fit(strings(TRAIN), TRUTH[TRAIN])
    expected = model.predict(strings(REST))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.joblib"
        joblib.dump(model, path)
        copied = [pickle.loads(pickle.dumps(model)), joblib.load(path), clone(model)]
    copied[-1].fit(strings(TRAIN), TRUTH[TRAIN])
    for one in copied:
        np.testing.assert_array_equal(one.predict(strings(REST)), expected)
        assert one.feature_names_in_.tolist() == ["architecture"]


@row("pandas in: strings, indices, ops by number or name")
def pandas_in() -> None:
    forms = (
        strings,
        lambda index: strings(index)["architecture"],
        lambda index: pd.DataFrame({"index": index}),
        lambda index: pd.DataFrame(decode(index), columns=EDGE_NAMES),
        ops,
        lambda index: ops(index).astype("category"),
    )
    expected = SurrogateRegressor(**SMALL).fit(decode(TRAIN), TRUTH[TRAIN]).predict(decode(REST))
    ranks(expected)
    weight = pd.Series(np.ones(len(TRAIN)))
    for form in forms:
        model = SurrogateRegressor(**SMALL).fit(form(TRAIN), pd.Series(TRUTH[TRAIN]), sample_weight=weight)
        np.testing.assert_array_equal(model.predict(form(REST)), expected)


@row("pandas out: named columns, the index kept")
def pandas_out() -> None:
    found = make("onehot").set_output(transform="pandas").fit_transform(ops(TRAIN))
    dummies = pd.get_dummies(
        ops(TRAIN), prefix=[f"onehot__edge_{edge}" for edge in EDGE_NAMES], prefix_sep="="
    )
    pd.testing.assert_frame_equal(found[dummies.columns], dummies.astype(float))


if __name__ == "__main__":
    run()
