"""Whole learning curves, for tables that record several epochs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from nb201env.arrays import FloatArray
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.surrogate.targets import target as find_target


class CurveRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # no types there
    """Predicts the accuracy at every recorded epoch.

    Curves on the log-error scale are written as their mean plus a few principal components, and
    each component's coefficient is predicted by a `SurrogateRegressor` of its own. Predicted curves
    are therefore as smooth as the recorded ones, and equal within a canonical class.

    Args:
        regressor: The settings of each coefficient's regressor; its target is always "identity".
        n_components: Principal components at most.
        target: The scale of the curves.

    Attributes:
        mean_: The mean training curve on the scale, float64 [epochs].
        components_: The principal components, float64 [components, epochs].
        regressors_: One fitted `SurrogateRegressor` per component.
    """

    def __init__(
        self,
        regressor: SurrogateRegressor | None = None,
        n_components: int = 6,
        target: str = "log_error",
    ) -> None:
        self.regressor = regressor
        self.n_components = n_components
        self.target = target

    def fit(self, X: npt.ArrayLike, y: FloatArray) -> Self:
        """Learn from architectures and their curves.

        Args:
            X: Op numbers, integer [n, 6].
            y: Accuracies, float64 [n, epochs].

        Raises:
            ValueError: If a value is missing or no fraction.
        """
        scale = find_target(self.target)
        if y.ndim != 2 or np.isnan(y).any():
            raise ValueError(f"curves are complete and of shape [n, epochs]; got shape {list(y.shape)}")
        scale.check(y)
        t = scale.forward(y)
        pca = PCA(min(self.n_components, *t.shape), svd_solver="full").fit(t)
        self.mean_, self.components_ = pca.mean_, pca.components_
        self.regressors_ = [self._one().fit(X, part) for part in pca.transform(t).T]
        return self

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """Accuracies at every epoch, float64 [n, epochs]."""
        check_is_fitted(self, "regressors_")
        parts = np.stack([regressor.predict(X) for regressor in self.regressors_], axis=1)
        # Not BLAS: its sums may differ from row to row in the last bit, and classes must be equal.
        t = self.mean_ + (parts[:, :, None] * self.components_).sum(axis=1)
        return find_target(self.target).inverse(t)

    @classmethod
    def of(
        cls, mean: FloatArray, components: FloatArray, regressors: list[SurrogateRegressor], target: str
    ) -> CurveRegressor:
        """A fitted model from its parts."""
        model = cls(regressors[0], len(regressors), target)
        model.mean_, model.components_, model.regressors_ = mean, components, regressors
        return model

    def _one(self) -> SurrogateRegressor:
        settings: dict[str, Any] = self.regressor.get_params() if self.regressor else {}
        return SurrogateRegressor(**settings | {"target": "identity"})
