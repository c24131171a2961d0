"""Cross-validation: how good a surrogate is, told by the architectures that it learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes
from nb201env.comparison import kendall
from nb201env.space import encode
from nb201env.surrogate.metrics import calibration, scores
from nb201env.surrogate.regressor import SurrogateRegressor, folds_of

FOLDS = 10
LEAST_IN_A_FOLD = 4
SCORES = ("kendall_tau", "spearman", "r2", "mae", "coverage_80")
_RESAMPLES = 200


def cross_validate(regressor: SurrogateRegressor, X: IntArray, y: FloatArray, folds: int) -> dict[str, Any]:
    """Score a regressor on folds of whole canonical classes, each predicted by a fit that saw none of it.

    Args:
        regressor: Its settings.
        X: Op numbers, integer [n, 6].
        y: Accuracies, fractions, float64 [n].
        folds: How many at most; a fold has at least 4 architectures on average.

    Returns:
        "folds" and "architectures"; "scores" of all predictions together, as in
        `nb201env.surrogate.metrics`; "spread", the standard deviation of each score over the folds; and
        "kendall_tau_95", the bounds "low" and "high" of a 95 % interval by resampling the architectures.
        Scores that are not defined (rank correlations of constant accuracies) are left out. Empty if there
        are too few architectures or classes for two folds.
    """
    groups = np.arange(len(X)) if regressor.encoding is None else canonical_classes()[encode(X)]
    folds = min(folds, len(X) // LEAST_IN_A_FOLD, len(np.unique(groups)))
    if folds < 2:
        return {}
    seed = regressor.random_state if isinstance(regressor.random_state, int) else 0
    fold = folds_of(groups, folds, np.random.RandomState(seed))
    predicted, deviation = np.empty_like(y), np.empty_like(y)
    for number in range(folds):
        out = fold == number
        fitted = clone(regressor).fit(X[~out], y[~out])
        predicted[out], deviation[out] = fitted.predict(X[out], return_std=True)
    by_fold = [_score(y[out], predicted[out], deviation[out]) for out in (fold == n for n in range(folds))]
    spread = {name: _deviation([one[name] for one in by_fold if name in one]) for name in SCORES}
    return {
        "folds": folds,
        "architectures": len(y),
        "scores": _score(y, predicted, deviation),
        "spread": {name: value for name, value in spread.items() if not np.isnan(value)},
    } | _interval(y, predicted, seed)


def _score(truth: FloatArray, predicted: FloatArray, deviation: FloatArray) -> dict[str, float]:
    found = scores(truth, predicted) | calibration(truth, predicted, deviation)
    return {name: float(found[name]) for name in SCORES if not np.isnan(found[name])}


def _deviation(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def _interval(truth: FloatArray, predicted: FloatArray, seed: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(seed)
    some = [kendall(truth[rows], predicted[rows])
            for rows in rng.integers(len(truth), size=(_RESAMPLES, len(truth)))]  # fmt: skip
    low, high = np.nanquantile(some, [0.025, 0.975]) if not np.isnan(some).all() else (np.nan, np.nan)
    return {} if np.isnan(low) else {"kendall_tau_95": {"low": float(low), "high": float(high)}}
