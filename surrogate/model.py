"""A surrogate of a whole table: accuracy, noise, times, and learning curves where there are epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from nb201env.arrays import FloatArray, IntArray
from nb201env.space import SIZE, all_ops, decode, indices
from nb201env.surrogate.curves import CurveRegressor
from nb201env.surrogate.encodings import transfer_tables
from nb201env.surrogate.metrics import scores
from nb201env.surrogate.noise import NoiseModel
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.table import Table

COSTS = ("train_seconds", "valid_seconds", "latency_seconds")
"""The further targets, each where the table records it."""

# Times depend on every edge, dead ones too: the official networks compute them all.
_COST_SETTINGS: dict[str, Any] = {
    "encoding": "onehot+cost", "target": "log", "n_members": 3, "n_estimators": 100,
}  # fmt: skip


@dataclass
class Surrogate:
    """A fitted surrogate and where it comes from.

    Attributes:
        accuracy: Predicts the mean accuracy at the last of `epochs`.
        noise: How runs scatter around it; None if the table has one run per architecture.
        costs: Predicts seconds: some of `COSTS`.
        curves: Predicts the accuracy at all of `epochs`; None if there is only one.
        time_shares: The share of "train_seconds" that has passed at each of `epochs`.
        architectures: The training architectures' lexicographic indices, rising; int64 [n].
        manifest: The training table, split, epochs, versions and held-out scores, as JSON values.
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
) -> Surrogate:
    """Fit a surrogate on a part of a table.

    Args:
        table: The table to learn from.
        architectures: Lexicographic indices of the training architectures, int [n].
        split: The split whose accuracy to learn.
        epochs: Epochs completed; several for whole learning curves.
        random_state: For everything random.
        n_jobs: Boosters trained at once.
        settings: Arguments of the accuracy's `SurrogateRegressor` other than its defaults.

    Raises:
        ValueError: If there are fewer than two training architectures, or one is named twice, is
            no index or has no run; or the table holds means over runs only.
        NotRecorded: If the table lacks the split or an epoch.
    """
    train = _checked(architectures)
    at = tuple(sorted({epochs} if isinstance(epochs, int) else set(epochs)))
    if table.values(f"{split}_accuracy", epochs=at[-1]).ndim == 1:
        raise ValueError(
            f"{table.name} holds means over runs, and a surrogate learns from runs; import single runs (with "
            "`nb201 table import-rows`, a seed after each column's target, such as valid_accuracy@200#777)"
        )
    runs = np.stack([table.runs(split=split, epochs=epoch) for epoch in at], axis=-1)
    means = np.stack([table.accuracy(split=split, epochs=epoch, run="mean") for epoch in at], axis=-1)
    if np.isnan(means[train]).any():
        missing = train[np.isnan(means[train]).any(axis=1)]
        raise ValueError(
            f"{table.name} has no run of {len(missing)} of the training architectures, such as index "
            f"{missing[0]}; leave them out"
        )
    shared = {"random_state": random_state, "n_jobs": n_jobs}
    X = decode(train)
    accuracy = SurrogateRegressor(**shared | dict(settings or {})).fit(X, means[train, -1])
    costs = _fit_costs(table, train, at[-1], shared)
    surrogate = Surrogate(
        accuracy=accuracy,
        noise=_fit_noise(accuracy, X, runs[train]),
        costs=costs,
        curves=CurveRegressor(accuracy).fit(X, means[train]) if len(at) > 1 else None,
        time_shares=_time_shares(table, train, at) if "train_seconds" in costs else np.ones(len(at)),
        architectures=train,
        manifest={},
    )
    surrogate.manifest = _manifest(table, split, at, accuracy, random_state)
    surrogate.manifest["held_out_scores"] = held_out_scores(surrogate, table)
    return surrogate


def held_out_scores(surrogate: Surrogate, table: Table) -> dict[str, float]:
    """Scores on the table's architectures that were not trained on; without those that are not defined."""
    truth = table.accuracy(split=surrogate.split, epochs=surrogate.epochs[-1], run="mean")
    held_out = ~np.isnan(truth)
    held_out[surrogate.architectures] = False
    rest = np.flatnonzero(held_out)
    if len(rest) < 2:
        return {}
    found = scores(truth[rest], surrogate.predict(rest)[0])
    return {name: score for name, score in found.items() if not np.isnan(score)}


def _checked(architectures: npt.ArrayLike) -> IntArray:
    index = np.asarray(architectures)
    train = np.unique(index).astype(np.int64)
    if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer) or len(train) < 2:
        raise ValueError("training architectures are at least two lexicographic indices, an int array [n]")
    if len(train) < len(index):
        raise ValueError(f"{len(index) - len(train)} training architectures are named twice; name each once")
    if train[0] < 0 or train[-1] >= SIZE:
        raise ValueError(f"a lexicographic index is in 0..{SIZE - 1}; got {train[0]}..{train[-1]}")
    return train


def _fit_noise(accuracy: SurrogateRegressor, X: IntArray, runs: FloatArray) -> NoiseModel | None:
    several = (~np.isnan(runs[:, :, -1])).sum(axis=1) > 1
    if several.sum() < NoiseModel.FEWEST or accuracy.encoding is None:
        return None
    seed = accuracy.random_state if isinstance(accuracy.random_state, int) else 0
    return NoiseModel(accuracy.encoding, accuracy.target, seed).fit(X, runs)


def _fit_costs(
    table: Table, train: IntArray, epochs: int, shared: Mapping[str, Any]
) -> dict[str, SurrogateRegressor]:
    costs = {}
    for name in COSTS:
        if name in table.columns:
            at = table.recorded_epochs(name)
            values = _mean_run(table.values(name, epochs=epochs if at else None)[train])
            known = ~np.isnan(values)
            model = SurrogateRegressor(**_COST_SETTINGS | dict(shared))
            costs[name] = model.fit(decode(train[known]), values[known])
    return costs


def _time_shares(table: Table, train: IntArray, epochs: tuple[int, ...]) -> FloatArray:
    """The median over the training architectures: the share hardly depends on the architecture."""
    seconds = [_mean_run(table.values("train_seconds", epochs=epoch)[train]) for epoch in epochs]
    return np.array([np.nanmedian(s / seconds[-1]) for s in seconds])


def _mean_run(values: FloatArray) -> FloatArray:
    return values if values.ndim == 1 else np.nanmean(values, axis=1)


def _manifest(
    table: Table, split: str, epochs: tuple[int, ...], accuracy: SurrogateRegressor, random_state: int
) -> dict[str, Any]:
    packages = ("nb201env", "xgboost", "scikit-learn", "numpy")
    settings = {k: v for k, v in accuracy.get_params().items() if k not in ("n_jobs", "random_state")}
    return {
        "table": {"name": table.name, "id": table.id},
        "task": table.manifest["task"],
        "schedule": table.manifest["schedule"],
        "licence": table.manifest["licence"],
        "citation": table.manifest.get("citation", []),
        "split": split,
        "epochs": list(epochs),
        "settings": settings,
        "random_state": random_state,
        "encoding_tables": transfer_tables(accuracy.encoding or ""),
        "versions": {package: version(package) for package in packages},
    }
