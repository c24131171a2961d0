"""Data frames in and out: the forms that architectures come in, and names that stay with the columns."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.pipeline import make_pipeline

from nb201env.architecture import Architecture, all_strings
from nb201env.arrays import FloatArray, IntArray
from nb201env.space import EDGES, OPS, SIZE, all_ops, decode
from nb201env.surrogate import encodings
from nb201env.surrogate.curves import CurveRegressor
from nb201env.surrogate.inputs import read_ops
from nb201env.surrogate.regressor import SurrogateRegressor
from tests.surrogate.conftest import SMALL

EDGE_NAMES = [f"edge_{source}_{target}" for source, target in EDGES]
FORMS = ("numbers", "names", "mixed", "categories", "floats", "indices", "strings", "architectures")


def form(name: str, index: IntArray) -> pd.DataFrame:
    """Architectures as a data frame, with an index of its own."""
    ops, own = decode(index), pd.Index(index + 100_000, name="row")
    if name in ("numbers", "floats"):
        return pd.DataFrame(ops, own, EDGE_NAMES, dtype=float if name == "floats" else int)
    if name in ("names", "mixed", "categories"):
        frame = pd.DataFrame(np.array(OPS)[ops], own, EDGE_NAMES)
        if name == "mixed":
            frame["edge_1_2"] = ops[:, 2]
        return frame.astype("category") if name == "categories" else frame
    column = {
        "indices": index,
        "strings": [all_strings()[i] for i in index],
        "architectures": [Architecture.from_index(int(i)) for i in index],
    }[name]
    return pd.DataFrame({"architecture": column}, own)


def model(**arguments: Any) -> SurrogateRegressor:
    return SurrogateRegressor(**SMALL | {"random_state": 0} | arguments)


@pytest.fixture(scope="module")
def y(truth: FloatArray, train: IntArray) -> FloatArray:
    return truth[train]


# -- in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMS)
def test_every_form_names_the_same_architectures(name: str) -> None:
    everything = np.arange(SIZE)
    np.testing.assert_array_equal(read_ops(form(name, everything)), all_ops())
    np.testing.assert_array_equal(read_ops(form(name, everything[:9]).to_numpy()), all_ops()[:9])


@pytest.mark.parametrize("name", FORMS)
def test_a_regressor_learns_the_same_from_every_form(name: str, train: IntArray, y: FloatArray) -> None:
    frame = form(name, train)
    fitted = model().fit(frame, pd.Series(y))
    plain = model().fit(all_ops()[train], y)
    assert fitted.feature_names_in_.tolist() == list(frame.columns)
    assert fitted.n_features_in_ == frame.shape[1]
    predicted = fitted.predict(frame)
    assert type(predicted) is np.ndarray
    np.testing.assert_array_equal(predicted, plain.predict(all_ops()[train]))
    np.testing.assert_array_equal(fitted.predict_all(), plain.predict_all())


def test_arrays_and_lists_of_names() -> None:
    names = np.array(OPS)[all_ops()]
    assert names.dtype.kind == "U"
    np.testing.assert_array_equal(read_ops(names), all_ops())
    np.testing.assert_array_equal(read_ops(names[:5].tolist()), all_ops()[:5])
    np.testing.assert_array_equal(read_ops([[all_strings()[7]], ["official:6111"]])[0], all_ops()[7])
    names[2, 4] = "conv"
    with pytest.raises(
        ValueError, match="row 2 of X, edge 4: 'conv' is no op; ops are numbers in 0..4 or none, "
    ):
        read_ops(names)


def test_a_series_is_a_column(train: IntArray, y: FloatArray) -> None:
    strings = form("strings", train)["architecture"]
    fitted = model().fit(strings, y)
    assert fitted.feature_names_in_.tolist() == ["architecture"]
    np.testing.assert_array_equal(fitted.predict(strings), fitted.predict(strings.to_frame()))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(strings.rename("arch"))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (form("names", np.arange(3)).replace("none", "conv"), "row 0 of X, edge 0: 'conv' is no op; ops are"),
        (
            pd.DataFrame({"a": [5, SIZE]}),
            "index of an architecture is in 0..15624, a whole number; got 15625",
        ),
        (
            pd.DataFrame({"a": [5, 0.5]}),
            "row 1 of X: the index of an architecture is .* a whole number; got 0.5",
        ),
        (pd.DataFrame({"a": [5, np.nan]}), "row 1 of X: .* a whole number; got nan"),
        (pd.DataFrame({"a": ["index:3", "|none~0|"]}), "row 1 of X: "),
        (form("numbers", np.arange(3)).iloc[:, :4], r"got shape \[3, 4\]"),
        (form("names", np.arange(3)).assign(edge_1_2=None), "row 0 of X, edge 2: .* is no op"),
        (
            form("mixed", np.arange(3)).assign(edge_1_2=pd.Series(dtype="Int64")),
            "row 0 of X, edge 2: <NA> is no op",
        ),
        (form("names", np.arange(3)).assign(edge_2_3=5), "row 0 of X, edge 5: 5 is no op"),
    ],
)
def test_what_names_no_architecture_is_refused(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encodings.OneHotEncoding().fit(frame)


def test_columns_are_those_of_fit(train: IntArray, y: FloatArray) -> None:
    frame = form("numbers", train)
    for fitted in (model().fit(frame, y), encodings.PathEncoding().fit(frame)):
        ask = fitted.predict if hasattr(fitted, "predict") else fitted.transform
        with pytest.raises(ValueError, match="feature names should match"):
            ask(frame[EDGE_NAMES[::-1]])
        with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
            ask(form("strings", train))
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            ask(frame.to_numpy())


def test_names_survive_pickle_and_are_forgotten_by_the_next_fit(train: IntArray, y: FloatArray) -> None:
    fitted = model().fit(form("strings", train), y)
    again = pickle.loads(pickle.dumps(fitted))
    assert again.feature_names_in_.tolist() == ["architecture"]
    np.testing.assert_array_equal(again.predict_all(), fitted.predict_all())
    assert not hasattr(fitted.fit(all_ops()[train], y), "feature_names_in_")
    assert not hasattr(clone(again), "feature_names_in_")


def test_curves_know_their_columns(train: IntArray) -> None:
    frame, index = form("strings", train), np.linspace(0.2, 0.9, len(train))
    curves = CurveRegressor(model()).fit(frame, pd.DataFrame({1: index / 2, 12: index}))
    assert curves.feature_names_in_.tolist() == ["architecture"]
    plain = CurveRegressor(model()).fit(all_ops()[train], np.stack([index / 2, index], axis=1))
    np.testing.assert_array_equal(curves.predict(frame), plain.predict(all_ops()[train]))


# -- out -----------------------------------------------------------------------------------------


def test_onehot_names_say_edge_and_op() -> None:
    frame = form("names", np.random.default_rng(0).permutation(SIZE)[:50])
    found = encodings.OneHotEncoding().set_output(transform="pandas").fit_transform(frame)
    expected = pd.get_dummies(frame, prefix_sep="=", dtype=float)
    pd.testing.assert_frame_equal(found[expected.columns], expected)
    assert found.columns[8] == "edge_0_2=nor_conv_3x3"
    assert found.shape == (50, 30)


@pytest.mark.parametrize("name", ["strings", "numbers"])
@pytest.mark.parametrize("encoding", [*encodings.NAMES[:-1], "transfer:cifar100-200:valid:200", "paths+cost"])
def test_encodings_give_frames(encoding: str, name: str) -> None:
    index = np.array([4711, 3, 42])
    frame = form(name, index)
    found = encodings.make(encoding).set_output(transform="pandas").fit_transform(frame)
    pd.testing.assert_index_equal(found.index, frame.index)
    assert found.columns.is_unique
    assert (found.dtypes == np.float64).all()
    np.testing.assert_array_equal(found.to_numpy(), encodings.make(encoding).transform(decode(index)))


def test_names_of_encodings_tell_them_apart() -> None:
    union = encodings.make("onehot+canonical+paths+graph+cost")
    names = union.fit(all_ops()[:3]).get_feature_names_out()
    assert len(set(names)) == len(names) == 30 + 30 + 40 + 75 + 4
    bare = [name for _, part in union.transformer_list for name in part.get_feature_names_out()]
    assert len(set(bare)) == len(bare)
    assert not any(set(name) & set("[]<>, ") for name in names)  # XGBoost and others refuse these


def test_names_asked_of_a_fitted_encoding() -> None:
    frame = form("numbers", np.arange(5))
    encoding = encodings.OneHotEncoding().fit(frame)
    assert encoding.feature_names_in_.tolist() == EDGE_NAMES
    assert len(encoding.get_feature_names_out(EDGE_NAMES)) == 30
    with pytest.raises(ValueError, match="input_features are not those of fit"):
        encoding.get_feature_names_out(EDGE_NAMES[::-1])


def test_a_pipeline_hands_names_on(train: IntArray, y: FloatArray) -> None:
    pipeline = make_pipeline(encodings.make("paths+graph"), model(encoding=None)).set_output(
        transform="pandas"
    )
    frame = form("strings", train)
    pipeline.fit(frame, y)
    assert pipeline.feature_names_in_.tolist() == ["architecture"]
    names = pipeline[-1].feature_names_in_.tolist()
    assert names == pipeline[:-1].get_feature_names_out().tolist()
    assert names[0] == "paths__path_skip"
    assert len(names) == 115
    arrays = make_pipeline(encodings.make("paths+graph"), model(encoding=None)).fit(all_ops()[train], y)
    np.testing.assert_array_equal(pipeline.predict(frame), arrays.predict(all_ops()[train]))


def test_architectures_beside_other_columns(train: IntArray) -> None:
    frame = form("strings", train).assign(seed=7.0, learning_rate=0.1)
    for columns in ("architecture", ["architecture"]):
        both = ColumnTransformer([("cell", encodings.OneHotEncoding(), columns)], remainder="passthrough")
        found = both.fit_transform(frame)
        np.testing.assert_array_equal(found[:, :30], encodings.OneHotEncoding().transform(all_ops()[train]))
    frames = both.set_output(transform="pandas").fit_transform(frame)
    assert frames.columns[-1] == "remainder__learning_rate"
    assert frames.columns[0] == "cell__edge_0_1=none"
    pd.testing.assert_index_equal(frames.index, frame.index)


# -- what explains a model -----------------------------------------------------------------------


def test_edges_have_an_importance(train: IntArray, y: FloatArray) -> None:
    frame = form("names", train)
    found = permutation_importance(model().fit(frame, y), frame, y, n_repeats=3, random_state=0)
    ops = all_ops()[train]
    plain = permutation_importance(model().fit(ops, y), ops, y, n_repeats=3, random_state=0)
    np.testing.assert_array_equal(found.importances, plain.importances)
    assert found.importances_mean.min() > 0.01


def test_partial_dependence_by_name(train: IntArray, y: FloatArray) -> None:
    frame = form("floats", train)
    fitted = model().fit(frame, y)
    found = partial_dependence(fitted, frame, ["edge_0_3"], kind="average")
    for op, mean in zip(found["grid_values"][0], found["average"][0], strict=True):
        assert mean == pytest.approx(fitted.predict(frame.assign(edge_0_3=op)).mean())
    names = form("names", train)
    by_name = partial_dependence(
        model().fit(names, y), names, ["edge_0_3"], categorical_features=["edge_0_3"]
    )
    ops = [OPS.index(name) for name in by_name["grid_values"][0]]
    np.testing.assert_allclose(by_name["average"][0], found["average"][0][ops])


# -- polars --------------------------------------------------------------------------------------


def test_polars_in_and_out(train: IntArray, y: FloatArray) -> None:
    pl = pytest.importorskip("polars")
    plain = model().fit(all_ops()[train], y)
    for name in ("numbers", "names", "indices", "strings"):
        frame = pl.DataFrame(form(name, train).to_dict("list"))
        fitted = model().fit(frame, pl.Series(y), sample_weight=pl.Series(np.ones(len(y))))
        assert fitted.feature_names_in_.tolist() == frame.columns
        np.testing.assert_array_equal(fitted.predict(frame), plain.predict(all_ops()[train]))
    series = frame["architecture"]
    np.testing.assert_array_equal(fitted.predict(series), fitted.predict(frame))
    found = encodings.make("onehot").set_output(transform="polars").fit_transform(frame)
    assert isinstance(found, pl.DataFrame)
    assert found.columns[0] == "onehot__edge_0_1=none"
    np.testing.assert_array_equal(found.to_numpy(), encodings.make("onehot").transform(all_ops()[train]))
