"""The regressors that the fidelity report sets beside the surrogate, all of them scikit-learn's.

All learn on the log-error scale as the surrogate does, so that only the method differs; and all
but "xgboost-onehot" from the same features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from nb201env.arrays import FloatArray
from nb201env.surrogate.encodings import make
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.surrogate.targets import target

SURROGATE = "surrogate"
"""The report's name for `SurrogateRegressor` with its defaults."""

MOST = {"gaussian-process": 1563}
"""Training architectures up to which a baseline is run: a Gaussian process costs their cube."""


class ScaledGaussianProcess(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # no types there
    """A Gaussian process whose kernel is fitted on the first few rows, then used for all.

    Args:
        rows: How many rows the kernel's scales are fitted on.
    """

    def __init__(self, rows: int = 300) -> None:
        self.rows = rows

    def fit(self, X: FloatArray, y: FloatArray) -> ScaledGaussianProcess:
        """Fit the kernel on the first rows, and the process on all."""
        bounds = (1e-6, 1e4)
        kernel = ConstantKernel(1.0, bounds) * Matern(np.sqrt(X.shape[1]), (0.1, 1e4), nu=1.5) + WhiteKernel(
            0.05, bounds
        )
        scales = GaussianProcessRegressor(kernel, normalize_y=True).fit(X[: self.rows], y[: self.rows])
        self.process_ = GaussianProcessRegressor(scales.kernel_, optimizer=None, normalize_y=True).fit(X, y)
        return self

    def predict(self, X: FloatArray) -> FloatArray:
        """The process's mean, float64 [n]."""
        return np.asarray(self.process_.predict(X))


def model(name: str, random_state: int) -> Any:
    """A fresh, unfitted regressor over op numbers.

    Args:
        name: One of `NAMES`.
        random_state: Its seed.

    Raises:
        ValueError: If the name is none of them.
    """
    if name == SURROGATE:
        return SurrogateRegressor(random_state=random_state)
    if name == "xgboost-onehot":
        return SurrogateRegressor(encoding="onehot", random_state=random_state)
    if name not in _ESTIMATORS:
        raise ValueError(f"unknown model {name!r}; use one of {', '.join(NAMES)}")
    estimator = clone(_ESTIMATORS[name])
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=random_state)
    return _on_log_error(estimator)


_ESTIMATORS: dict[str, Any] = {
    "random-forest": RandomForestRegressor(n_estimators=100, max_features=0.3),
    "gaussian-process": ScaledGaussianProcess(),
    "ridge": RidgeCV(alphas=np.logspace(-2, 4, 13)),
    "k-nearest": KNeighborsRegressor(n_neighbors=5, weights="distance"),
}
NAMES: tuple[str, ...] = (SURROGATE, "xgboost-onehot", *_ESTIMATORS)


def _on_log_error(estimator: Any) -> TransformedTargetRegressor:
    scale = target("log_error")
    steps = [
        ("encoding", make("paths+graph")),
        ("compress", FunctionTransformer(_compress)),
        ("standardise", StandardScaler()),
        ("model", estimator),
    ]
    return TransformedTargetRegressor(
        Pipeline(steps), func=scale.forward, inverse_func=scale.inverse, check_inverse=False
    )


def _compress(X: FloatArray) -> FloatArray:
    """Counts to logarithms, so that the few cells with many paths do not rule the distances."""
    return np.log1p(X + 1.0)  # the least value is -1, "no path"
