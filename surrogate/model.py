"""A surrogate of a whole table: accuracy, noise, times, and learning curves where there are epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from nb201env.architecture import ArchitectureLike
from nb201env.arrays import FloatArray, IntArray
from nb201env.space import all_ops, decode, indices
from nb201env.surrogate.curves import CurveRegressor
from nb201env.surrogate.encodings import transfer_tables
from nb201env.surrogate.evaluations import Evaluations, gather, of_table
from nb201env.surrogate.metrics import scores
from nb201env.surrogate.noise import NoiseModel
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.surrogate.validation import FOLDS, cross_validate
from nb201env.table import Table

FEWEST_HELD_OUT = 100
"""Architectures of a table that must be held out for their scores to say how good a surrogate is."""

# Times depend on every edge, dead ones too: the official networks compute them all.
_COST_SETTINGS: dict[str, Any] = {
    "encoding": "onehot+cost", "target": "log", "n_members": 3, "n_estimators": 100,
}  # fmt: skip


@dataclass
class Surrogate:
    """A fitted surrogate and where it comes from.

    Attributes:
        accuracy: Predicts the mean accuracy at the last of `epochs`.
        noise: How runs scatter around it; None unless 5 architectures were run more than once.
        costs: Predicts seconds: some of `nb201env.surrogate.evaluations.COSTS`.
        curves: Predicts the accuracy at all of `epochs`; None if there is only one.
        time_shares: The share of "train_seconds" that has passed at each of `epochs`.
        architectures: The training architectures' lexicographic indices, rising; int64 [n].
        manifest: What it learnt from, split, epochs, versions and how good it is, as JSON values.
    """

    accuracy: SurrogateRegressor
    noise: NoiseModel | None
    costs: dict[str, SurrogateRegressor]
    curves: CurveRegressor | None
    time_shares: FloatArray
    architectures: IntArray
    manifest: dict[str, Any] = field(repr=False)

    @property
    def split(self) -> str:
        """The split whose accuracy is predicted."""
        return str(self.manifest["split"])

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs (completed) that are predicted, rising."""
        return tuple(self.manifest["epochs"])

    def predict(self, index: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """The mean accuracy at the last epoch, and the standard deviation of the error to expect.

        Args:
            index: Lexicographic indices, int [n].

        Returns:
            Fractions, float64 [n] each.

        Raises:
            ValueError: If one is no index of an architecture, or they are not an array [n].
        """
        if np.ndim(checked := indices(index)) != 1 or not len(checked):
            raise ValueError(f"index is an array [n] of lexicographic indices; got shape {checked.shape}")
        return self.accuracy.predict(decode(checked), return_std=True)

    def means(self) -> FloatArray:
        """The predicted accuracy of the whole space at every epoch, float64 [15625, epochs]."""
        last = self.accuracy.predict(all_ops())[:, None]
        if self.curves is None:
            return last
        return np.hstack([self.curves.predict(all_ops())[:, :-1], last])

    def runs(self, runs: int, seed: int) -> FloatArray:
        """Imagined runs of the whole space, float64 [15625, runs, epochs].

        Their mean over runs is the prediction; without a noise model all runs are the prediction.
        """
        means = self.means()
        if self.noise is None:
            return np.repeat(means[:, None, :], runs, axis=1)
        rng = np.random.default_rng(seed)
        return self.noise.sample(all_ops(), means, runs, rng, centred=True)


def fit_surrogate(
    table: Table,
    architectures: npt.ArrayLike,
    *,
    split: str,
    epochs: int | Sequence[int],
    random_state: int = 0,
    n_jobs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    folds: int = FOLDS,
) -> Surrogate:
    """Fit a surrogate on a part of a table, or on all of it.

    How good it is stands in its manifest: where 100 architectures of the table or more were held out, as
    "held_out_scores", else as "cross_validation".

    Args:
        table: The table to learn from; of runs or of means.
        architectures: Lexicographic indices of the training architectures, int [n].
        split: The split whose accuracy to learn.
        epochs: Epochs completed; several for whole learning curves.
        random_state: For everything random.
        n_jobs: Boosters trained at once.
        settings: Arguments of the accuracy's `SurrogateRegressor` other than its defaults.
        folds: Of the cross-validation; 0 for none.

    Raises:
        ValueError: If there are fewer than two training architectures, or one is named twice, is
            no index or has no run.
        NotRecorded: If the table lacks the split or an epoch.
    """
    at = (epochs,) if isinstance(epochs, int) else tuple(epochs)
    evaluations = of_table(table, architectures, split, at)
    surrogate = fit(evaluations, random_state=random_state, n_jobs=n_jobs, settings=settings, folds=0)
    if found := held_out_scores(surrogate, table):
        surrogate.manifest["held_out_scores"] = found
    else:
        _validate(surrogate, evaluations, folds)
    return surrogate


def fit_evaluations(
    architectures: Iterable[ArchitectureLike],
    accuracy: npt.ArrayLike,
    *,
    name: str = "evaluations",
    dataset: str | None = None,
    split: str = "valid",
    epochs: int | None = None,
    seconds: Mapping[str, npt.ArrayLike] | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    folds: int = FOLDS,
) -> Surrogate:
    """Fit a surrogate on evaluations of one's own: 20 architectures or more.

    How good it is stands in its manifest as "cross_validation".

    Args:
        architectures: One per row: `Architecture`, lexicographic index, official string or op numbers; one
            that stands in several rows was run several times.
        accuracy: Fractions, float [rows], or [rows, runs] for several runs in a row; NaN where missing.
        name: What the evaluations are called; the surrogate's table is "<name>-surrogate".
        dataset: The data set that they are of; `name` if None.
        split: The split of the accuracies; environments answer "valid".
        epochs: After how many epochs they were measured; None if that is not known.
        seconds: Some of "train_seconds" and "valid_seconds" of each row's run, float [rows]: then the
            surrogate's table has a clock.
        random_state: For everything random.
        n_jobs: Boosters trained at once.
        settings: Arguments of the accuracy's `SurrogateRegressor` other than its defaults.
        folds: Of the cross-validation; 0 for none.

    Raises:
        ValueError: If a row is not what it should be, or there are fewer than 20 architectures.
    """
    evaluations = gather(
        architectures, accuracy, name=name, dataset=dataset, split=split, epochs=epochs, seconds=seconds
    )
    return fit(evaluations, random_state=random_state, n_jobs=n_jobs, settings=settings, folds=folds)


def fit(
    evaluations: Evaluations,
    *,
    random_state: int = 0,
    n_jobs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    folds: int = FOLDS,
) -> Surrogate:
    """Fit a surrogate on evaluations; `fit_surrogate` and `fit_evaluations` say what the arguments are."""
    if folds < 0 or folds == 1:
        raise ValueError(f"folds are two or more, or 0 for no cross-validation; got {folds}")
    shared = {"random_state": random_state, "n_jobs": n_jobs}
    X, means = decode(evaluations.architectures), evaluations.means
    accuracy = SurrogateRegressor(**shared | dict(settings or {})).fit(X, means[:, -1])
    surrogate = Surrogate(
        accuracy=accuracy,
        noise=_fit_noise(accuracy, X, evaluations),
        costs={name: _fit_cost(X, values, shared) for name, values in evaluations.costs.items()},
        curves=CurveRegressor(accuracy).fit(X, means) if means.shape[1] > 1 else None,
        time_shares=evaluations.time_shares,
        architectures=evaluations.architectures,
        manifest=_manifest(evaluations, accuracy, random_state),
    )
    _validate(surrogate, evaluations, folds)
    return surrogate


def _validate(surrogate: Surrogate, evaluations: Evaluations, folds: int) -> None:
    """Add what cross-validation says to the manifest, if it says anything."""
    X, y = decode(evaluations.architectures), evaluations.means[:, -1]
    if folds and (found := cross_validate(surrogate.accuracy, X, y, folds)):
        surrogate.manifest["cross_validation"] = found


def held_out_scores(surrogate: Surrogate, table: Table) -> dict[str, float]:
    """Scores on the table's architectures that were not trained on; without those that are not defined.

    Empty if those are fewer than 100, which tell too little.
    """
    truth = table.accuracy(split=surrogate.split, epochs=surrogate.epochs[-1], run="mean")
    held_out = ~np.isnan(truth)
    held_out[surrogate.architectures] = False
    rest = np.flatnonzero(held_out)
    if len(rest) < FEWEST_HELD_OUT:
        return {}
    found = scores(truth[rest], surrogate.predict(rest)[0])
    return {name: score for name, score in found.items() if not np.isnan(score)}


def _fit_noise(accuracy: SurrogateRegressor, X: IntArray, evaluations: Evaluations) -> NoiseModel | None:
    if evaluations.several < NoiseModel.FEWEST or accuracy.encoding is None:
        return None
    seed = accuracy.random_state if isinstance(accuracy.random_state, int) else 0
    return NoiseModel(accuracy.encoding, accuracy.target, seed).fit(X, evaluations.runs)


def _fit_cost(X: IntArray, values: FloatArray, shared: Mapping[str, Any]) -> SurrogateRegressor:
    known = ~np.isnan(values)
    return SurrogateRegressor(**_COST_SETTINGS | dict(shared)).fit(X[known], values[known])


def _manifest(evaluations: Evaluations, accuracy: SurrogateRegressor, random_state: int) -> dict[str, Any]:
    packages = ("nb201env", "xgboost", "scikit-learn", "numpy")
    settings = {k: v for k, v in accuracy.get_params().items() if k not in ("n_jobs", "random_state")}
    return evaluations.about | {
        "split": evaluations.split,
        "epochs": list(evaluations.epochs),
        "settings": settings,
        "random_state": random_state,
        "encoding_tables": transfer_tables(accuracy.encoding or ""),
        "versions": {package: version(package) for package in packages},
        "run_several_times": evaluations.several,
        "held_out_scores": {},
    }
