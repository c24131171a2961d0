"""Features and encodings: what they count, and that classes are not told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from nb201env import cost
from nb201env.classes import canonical_classes, representatives
from nb201env.space import CONV1X1, CONV3X3, NONE, POOL, SIZE, SKIP, all_ops
from nb201env.surrogate import encodings, targets
from nb201env.surrogate.features import (
    NOTHING,
    WORDS,
    LiveGraph,
    all_graph_features,
    all_path_features,
    graph_features,
    path_features,
)
from nb201env.tables import open_table

INVARIANT = ("canonical", "paths", "graph", "livecost", "transfer:cifar100-200:valid:200", "paths+graph")
ops_lists = st.tuples(*[st.integers(0, 4)] * 6)


def count_paths(ops: tuple[int, ...]) -> dict[str, int]:
    """The plain way: all four routes through the cell, skips left out, zeros dropped."""
    routes = [(3,), (0, 4), (1, 5), (0, 2, 5)]
    letters = {SKIP: "", CONV1X1: "1", CONV3X3: "3", POOL: "p"}
    found: dict[str, int] = {}
    for route in routes:
        if all(ops[edge] != NONE for edge in route):
            word = "".join(letters[ops[edge]] for edge in route)
            found[word] = found.get(word, 0) + 1
    return found


@given(ops_lists)
def test_paths_are_the_routes_through_the_cell(ops: tuple[int, ...]) -> None:
    features = path_features(LiveGraph.of(ops))
    assert {w: features[f"path_{w or 'skip'}"] for w in WORDS if features[f"path_{w or 'skip'}"]} == (
        count_paths(ops)
    )


def test_there_are_40_words() -> None:
    assert len(WORDS) == len(set(WORDS)) == 1 + 3 + 9 + 27


def test_a_cell_by_hand() -> None:
    # 0->1 3x3, 1->2 1x1, 2->3 skip, 0->3 skip: paths "31" and ""; the rest is dead.
    features = graph_features(LiveGraph.of((CONV3X3, NONE, CONV1X1, SKIP, NONE, SKIP)))
    assert features["paths"] == 2
    assert features["live_conv1x1"] == features["live_conv3x3"] == 1
    assert features["max_convs"] == 2
    assert features["min_convs"] == 0
    assert features["mean_convs"] == 1
    assert features["has_skip"] == 1
    assert features["convs_after_at_most_1"] == 1
    assert features["output_convs"] == 1


def test_a_dead_cell_has_no_paths() -> None:
    features = graph_features(LiveGraph.of((NONE,) * 6))
    assert features["is_dead"] == 1
    assert features["max_convs"] == features["mean_ops"] == NOTHING


def test_dead_convolutions_do_not_count() -> None:
    # The 3x3 on 0->1 leads nowhere.
    features = graph_features(LiveGraph.of((CONV3X3, NONE, NONE, SKIP, NONE, NONE)))
    assert features["live_convs"] == 0
    assert features["paths"] == 1


def test_a_convolution_of_nothing_is_a_constant() -> None:
    features = graph_features(LiveGraph.of((NONE, NONE, NONE, NONE, CONV3X3, NONE)))
    assert features["live_constants"] == 1
    assert features["live_convs"] == 0


@pytest.mark.parametrize("table", [all_path_features, all_graph_features])
def test_feature_tables_hold_the_functions_values(table: object) -> None:
    names, values = table()  # type: ignore[operator]
    function = path_features if table is all_path_features else graph_features
    assert values.shape == (SIZE, len(names))
    assert not values.flags.writeable
    for index in (0, 1, 777, 9001, SIZE - 1):
        expected = function(LiveGraph.of(tuple(all_ops()[index].tolist())))
        assert dict(zip(names, values[index], strict=True)) == expected


@pytest.mark.parametrize("name", INVARIANT)
def test_encodings_are_equal_within_a_canonical_class(name: str) -> None:
    values = encodings.make(name).transform(all_ops())
    np.testing.assert_array_equal(values, values[representatives()][canonical_classes()])


def test_onehot_tells_all_architectures_apart() -> None:
    values = encodings.make("onehot").transform(all_ops())
    assert values.shape == (SIZE, 30)
    assert (values.sum(axis=1) == 6).all()
    assert len(np.unique(values, axis=0)) == SIZE


def test_cost_encoding_is_the_closed_form() -> None:
    values = encodings.CostEncoding().transform(all_ops())
    np.testing.assert_allclose(values[:, 0] * 1e6, cost.params(np.arange(SIZE), "cifar10"))
    np.testing.assert_allclose(values[:, 1] * 1e6, cost.macs(np.arange(SIZE), "cifar10"))
    skeleton = values[0, :2]
    everything_live = np.flatnonzero((all_ops() == CONV3X3).all(axis=1))[0]
    np.testing.assert_allclose(values[everything_live, 2:], values[everything_live, :2] - skeleton)
    assert (values[:, 2:] <= values[:, :2] - skeleton + 1e-9).all()


def test_transfer_encoding_is_the_class_mean() -> None:
    accuracy = open_table("cifar100-200").accuracy(split="valid", epochs=200, run="mean")
    values = encodings.TransferEncoding("cifar100-200", "valid", 200).transform(all_ops())[:, 0]
    members = canonical_classes() == canonical_classes()[5000]
    assert values[5000] == pytest.approx(accuracy[members].mean())


def test_class_mean_leaves_missing_values_out() -> None:
    values = np.full(SIZE, np.nan)
    members = np.flatnonzero(canonical_classes() == 0)
    values[members[:2]] = 1.0, 3.0
    means = encodings.class_mean(values)
    assert (means[members] == 2.0).all()
    assert np.isnan(np.delete(means, members)).all()


@pytest.mark.parametrize("name", ["onehot", "canonical", "paths", "graph", "cost", "paths+onehot"])
def test_encodings_are_transformers(name: str) -> None:
    encoding = clone(encodings.make(name))
    values = encoding.fit_transform(all_ops()[:7])
    assert values.shape == (7, len(encoding.get_feature_names_out()))
    assert values.dtype == np.float64


@pytest.mark.parametrize(
    "name", ["", "path", "paths+", "transfer", "transfer:cifar100-200", "transfer:a:valid:x", "transfer:a:b"]
)
def test_unknown_encodings_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown encoding .* use one of onehot, canonical"):
        encodings.make(name)


@pytest.mark.parametrize("bad", [[[0, 1, 2]], [0, 1, 2, 3, 4, 0], [[0, 1, 2, 3, 4, 5]], [[0.5] * 6]])
def test_what_is_no_architecture_is_refused(bad: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="op numbers"):
        encodings.make("onehot").transform(bad)


def test_transfer_tables_are_named_with_their_ids() -> None:
    assert encodings.transfer_tables("graph+transfer:cifar100-200:valid:200") == {
        "cifar100-200": open_table("cifar100-200").id
    }
    assert encodings.transfer_tables("graph") == {}


@given(st.floats(0.001, 0.999), st.sampled_from(sorted(targets.TARGETS)))
def test_targets_lead_there_and_back(value: float, name: str) -> None:
    scale = targets.target(name)
    y = np.array([value])
    np.testing.assert_allclose(scale.inverse(scale.forward(y)), y)
    step = 1e-6
    slope = (scale.inverse(scale.forward(y) + step) - y) / step
    np.testing.assert_allclose(scale.slope(scale.forward(y)), slope, rtol=1e-3)


def test_targets_refuse_what_has_no_place() -> None:
    with pytest.raises(ValueError, match="unknown target 'logit'"):
        targets.target("logit")
    with pytest.raises(ValueError, match="accuracies are fractions, not per cent"):
        targets.target("log_error").check(np.array([91.0]))
    targets.target("log_error").check(np.array([0.0, 1.0, np.nan]))
    assert np.isfinite(targets.target("log_error").forward(np.array([1.0]))).all()
