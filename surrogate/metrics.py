"""How well predictions agree with the truth: ranks, errors, the best, uncertainty and noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from nb201env.arrays import FloatArray, IntArray
from nb201env.comparison import kendall, spearman

SPARSE_STEP = 0.001
"""Sparse Kendall tau rounds to 0.1 percentage points first (Yu et al., "How to train your
super-net", 2020; also used by NAS-Bench-301), so that ties within the noise do not count."""
TOP = 0.1
"""The best tenth, where searches end."""
PRECISION_AT = (10, 50, 100)
LEVELS = (0.5, 0.8, 0.95)
"""The probabilities of the intervals whose coverage is reported."""


def sparse_kendall_tau(truth: FloatArray, predicted: FloatArray) -> float:
    """Kendall's tau-b after rounding both to `SPARSE_STEP`; NaN if one is constant then."""
    return kendall(np.round(truth / SPARSE_STEP), np.round(predicted / SPARSE_STEP))


def best(values: FloatArray, count: int) -> IntArray:
    """The positions of the greatest values, best first; ties go to the lower position."""
    return np.argsort(-values, kind="stable")[:count]


def top_kendall_tau(truth: FloatArray, predicted: FloatArray, part: float = TOP) -> float:
    """Kendall's tau-b among the truly best part; NaN if one side is constant there."""
    top = best(truth, max(2, int(len(truth) * part)))
    return kendall(truth[top], predicted[top])


def precision_at(truth: FloatArray, predicted: FloatArray, k: int) -> float:
    """Which part of the predicted best k are truly among the best k."""
    k = min(k, len(truth))
    return len(np.intersect1d(best(truth, k), best(predicted, k))) / k


def regret_of_best(truth: FloatArray, predicted: FloatArray) -> float:
    """How much worse, as a fraction, the predicted best is than the truly best."""
    return float(truth.max() - truth[best(predicted, 1)[0]])


def scores(truth: FloatArray, predicted: FloatArray) -> dict[str, float]:
    """Every score of a point prediction.

    Args:
        truth: Accuracies, fractions, float64 [n].
        predicted: Predicted accuracies, float64 [n].

    Returns:
        Scores by name; "mae" and "regret_of_best" are fractions, the others have no unit. Rank
        correlations are NaN if one side is constant; "r2" is 0 if the truth is.

    Raises:
        ValueError: If a value is missing: no score is defined then.
    """
    _check_known(truth, predicted)
    residual = truth - predicted
    total = float(((truth - truth.mean()) ** 2).sum())
    return {
        "kendall_tau": kendall(truth, predicted),
        "spearman": spearman(truth, predicted),
        "sparse_kendall_tau": sparse_kendall_tau(truth, predicted),
        "top_kendall_tau": top_kendall_tau(truth, predicted),
        "r2": 1.0 - float((residual**2).sum()) / total if total else 0.0,
        "mae": float(np.abs(residual).mean()),
        "regret_of_best": regret_of_best(truth, predicted),
    } | {f"precision_at_{k}": precision_at(truth, predicted, k) for k in PRECISION_AT}


def _check_known(*values: FloatArray) -> None:
    if any(np.isnan(one).any() for one in values):
        raise ValueError("scores need a number for every architecture; leave out those without")


def calibration(truth: FloatArray, predicted: FloatArray, deviation: FloatArray) -> dict[str, float]:
    """How honest the uncertainty is.

    Args:
        truth: Accuracies, float64 [n].
        predicted: Predicted accuracies, float64 [n].
        deviation: The predicted standard deviation of the error, float64 [n], 0 or more.

    Returns:
        "coverage_50", …: which part of the truth lies within the central normal interval of that
        probability; "rms_z": the root mean square of error / deviation (1 is right);
        "error_rank": Spearman's correlation of |error| and deviation, NaN where the deviations are all
        equal and so tell no error from another.

    Raises:
        ValueError: If a value is missing.
    """
    _check_known(truth, predicted, deviation)
    error = np.abs(truth - predicted)
    z = np.divide(error, deviation, out=np.where(error > 0, np.inf, 0.0), where=deviation > 0)
    rank = spearman(error, deviation)
    covered = {f"coverage_{level * 100:.0f}": float((z <= stats.norm.ppf((1 + level) / 2)).mean())
               for level in LEVELS}  # fmt: skip
    return covered | {"rms_z": float(np.sqrt(np.mean(z**2))), "error_rank": rank}


def mean_and_std(values: Sequence[float]) -> dict[str, float]:
    """The "mean" of a score over random draws and its standard deviation "std" over them (divided by n)."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values))}


def noise_distance(real: FloatArray, imagined: FloatArray) -> dict[str, float]:
    """How differently two runs of one architecture scatter, in truth and in imagination.

    Args:
        real: Accuracies of two runs, float64 [n, 2].
        imagined: The same for imagined runs, float64 [m, 2].

    Returns:
        "wasserstein": the earth mover's distance between the distributions of |run - other run|, a
        fraction; "ks": the greatest difference of their distribution functions; and the median
        difference of each, fractions.
    """
    a, b = (np.abs(runs[:, 0] - runs[:, 1]) for runs in (real, imagined))
    return {
        "wasserstein": float(stats.wasserstein_distance(a, b)),
        "ks": float(stats.ks_2samp(a, b).statistic),
        "median_real": float(np.median(a)),
        "median_imagined": float(np.median(b)),
    }
