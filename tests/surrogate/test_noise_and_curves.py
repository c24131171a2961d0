"""Noise like that of real seeds, and learning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes, representatives
from nb201env.space import SIZE, all_ops
from nb201env.surrogate.boosting import VarianceModel
from nb201env.surrogate.curves import CurveRegressor
from nb201env.surrogate.fidelity.protocol import random_draw
from nb201env.surrogate.metrics import noise_distance
from nb201env.surrogate.model import Surrogate, fit_surrogate
from nb201env.surrogate.noise import NoiseModel
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.surrogate.tables import SurrogateTable
from nb201env.table import Table, write_table
from tests.surrogate.conftest import CURVE_EPOCHS, SMALL


def test_imagined_runs_spread_like_real_seeds(table: Table, truth: FloatArray) -> None:
    train, rest = random_draw(truth, 1563, 0)
    runs = table.runs(split="valid", epochs=200)
    model = NoiseModel().fit(all_ops()[train], runs[train])
    both = rest[~np.isnan(runs[rest, :2]).any(axis=1)]
    for part in (both, both[np.argsort(-truth[both])[:1000]]):
        imagined = model.sample(all_ops()[part], truth[part], 2, np.random.default_rng(0), centred=False)
        distance = noise_distance(runs[part, :2], imagined)
        assert distance["median_imagined"] == pytest.approx(distance["median_real"], rel=0.25)
        assert distance["wasserstein"] < 0.25 * np.abs(runs[part, 0] - runs[part, 1]).mean()


def test_noise_is_larger_where_seeds_disagree_more(table: Table, truth: FloatArray) -> None:
    train, rest = random_draw(truth, 1563, 1)
    runs = table.runs(split="valid", epochs=200)
    model = NoiseModel().fit(all_ops()[train], runs[train])
    deviation = model.deviation(all_ops()[rest])
    real = np.abs(np.log1p(-runs[rest, 0]) - np.log1p(-runs[rest, 1]))
    high = deviation > np.quantile(deviation, 0.8)
    assert np.nanmean(real[high]) > 1.5 * np.nanmean(real[~high])


def test_centred_runs_have_the_prediction_as_mean(table: Table, truth: FloatArray, train: IntArray) -> None:
    model = NoiseModel().fit(all_ops()[train], table.runs(split="valid", epochs=200)[train])
    runs = model.sample(all_ops()[train], truth[train], 3, np.random.default_rng(0), centred=True)
    np.testing.assert_allclose(runs.mean(axis=1), truth[train], atol=5e-3)
    free = model.sample(all_ops()[train], truth[train], 3, np.random.default_rng(0), centred=False)
    assert np.median(np.ptp(runs, axis=1)) == pytest.approx(np.median(np.ptp(free, axis=1)), rel=0.05)


def test_noise_is_drawn_from_the_generator_alone(table: Table, train: IntArray) -> None:
    model = NoiseModel().fit(all_ops()[train], table.runs(split="valid", epochs=200)[train])
    draws = [model.draw(all_ops(), 2, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()
    assert draws[0].shape == (SIZE, 2, 1)


def test_noise_needs_several_runs(truth: FloatArray) -> None:
    with pytest.raises(ValueError, match="at least 5 architectures with two runs, got 0"):
        NoiseModel().fit(all_ops()[:50], truth[:50, None])
    with pytest.raises(ValueError, match="not fitted"):
        NoiseModel().deviation(all_ops()[:2])


def test_variance_model_finds_where_values_stray() -> None:
    rng = np.random.default_rng(0)
    features = rng.integers(0, 2, size=(2000, 1)).astype(float)
    scale = np.where(features[:, 0] > 0, 3.0, 1.0)
    model = VarianceModel().fit(features, (scale * rng.normal(size=2000)) ** 2)
    low, high = model.predict(np.array([[0.0], [1.0]]))
    assert low == pytest.approx(1, rel=0.2)
    assert high == pytest.approx(9, rel=0.2)
    with pytest.raises(ValueError, match="not fitted"):
        VarianceModel().predict(features)


# -- learning curves ---------------------------------------------------------------------------


def test_curves_are_predicted_whole(curve_table: Table) -> None:
    train = np.random.default_rng(0).permutation(SIZE)[:1500]
    means = np.stack(
        [curve_table.accuracy(split="valid", epochs=e, run="mean") for e in CURVE_EPOCHS], axis=-1
    )
    model = CurveRegressor(SurrogateRegressor(**SMALL, random_state=0), n_components=2)
    predicted = model.fit(all_ops()[train], means[train]).predict(all_ops())
    assert predicted.shape == (SIZE, len(CURVE_EPOCHS))
    assert (np.diff(predicted.mean(axis=0)) > 0).all()
    np.testing.assert_array_equal(predicted, predicted[representatives()][canonical_classes()])
    # The first epoch says how the last one ends: the parts of a curve are predicted together.
    assert np.corrcoef(predicted[:, 0], predicted[:, -1])[0, 1] > 0.95
    np.testing.assert_allclose(predicted.mean(axis=0), means.mean(axis=0), rtol=0.02)


def test_incomplete_curves_are_refused(curve_table: Table) -> None:
    with pytest.raises(ValueError, match=r"complete and of shape \[n, epochs\]"):
        CurveRegressor().fit(all_ops()[:20], np.full((20, 3), np.nan))
    with pytest.raises(ValueError, match="complete"):
        CurveRegressor().fit(all_ops()[:20], np.full(20, 0.5))


@pytest.fixture(scope="module")
def curves(curve_table: Table) -> Surrogate:
    train = np.random.default_rng(0).permutation(SIZE)[:300]
    return fit_surrogate(curve_table, train, split="valid", epochs=CURVE_EPOCHS, settings=SMALL)


def test_a_surrogate_of_a_table_with_epochs(curves: Surrogate) -> None:
    assert curves.epochs == CURVE_EPOCHS
    np.testing.assert_allclose(curves.time_shares, np.array(CURVE_EPOCHS) / 12, rtol=1e-3)
    predicted = SurrogateTable(curves)
    assert predicted.recorded_epochs("valid_accuracy") == CURVE_EPOCHS
    assert not predicted.verify()
    for number, epoch in enumerate(CURVE_EPOCHS):
        mean = predicted.accuracy(split="valid", epochs=epoch, run="mean")
        np.testing.assert_allclose(mean, curves.means()[:, number], atol=1e-4)
    one = [predicted.query(7, split="valid", epochs=epoch, run=0) for epoch in (3, 12)]
    assert one[0].seconds == pytest.approx(
        one[1].seconds * 3 / 12, rel=0.1
    )  # plus the validation pass, which does not grow


def test_what_a_table_lacks_elsewhere_changes_nothing(
    curve_table: Table, curves: Surrogate, tmp_path: Path
) -> None:
    columns = {name: np.array(curve_table.container.array(name)) for name in curve_table.columns}
    held = np.union1d(curves.architectures, np.arange(0, SIZE, 2))
    for column in columns.values():
        column[np.setdiff1d(np.arange(SIZE), held)] = np.nan
    manifest = {key: value for key, value in curve_table.manifest.items() if key not in ("schema", "arrays")}
    partial = write_table(tmp_path / "partial.safetensors", manifest, columns)
    again = fit_surrogate(partial, curves.architectures, split="valid", epochs=CURVE_EPOCHS, settings=SMALL)
    np.testing.assert_array_equal(again.means(), curves.means())
    np.testing.assert_array_equal(again.time_shares, curves.time_shares)


def test_noise_of_curves_hangs_together(curves: Surrogate) -> None:
    """A run that lies high at one epoch lies high at the next, as in the table it was learnt from."""
    runs = curves.runs(2, seed=0)
    difference = runs[:, 0] - runs[:, 1]
    assert np.corrcoef(difference[:, 0], difference[:, -1])[0, 1] > 0.8
