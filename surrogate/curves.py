"""Whole learning curves, for tables that record several epochs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from nb201env.arrays import FloatArray
from nb201env.surrogate.inputs import read_both, read_known
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
        n_features_in_: Columns of `X`.
        feature_names_in_: Their names, if `X` was a data frame.
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

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Learn from architectures and their curves.

        Args:
            X: As for `SurrogateRegressor`.
            y: Accuracies, float [n, epochs].

        Raises:
            ValueError: If a value is missing or no fraction.
        """
        _check_complete(y)
        scale = find_target(self.target)
        known, curves = read_both(self, self._one().encoding, X, y, multi_output=True)
        _check_complete(curves)  # what were no floats
        scale.check(curves)
        t = scale.forward(curves)
        pca = PCA(min(self.n_components, *t.shape), svd_solver="full").fit(t)
        self.mean_, self.components_ = pca.mean_, pca.components_
        self.regressors_ = [self._one().fit(known, part) for part in pca.transform(t).T]
        return self

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """Accuracies at every epoch, float64 [n, epochs]."""
        check_is_fitted(self, "regressors_")
        known = read_known(self, self._one().encoding, X)
        parts = np.stack([regressor.predict(known) for regressor in self.regressors_], axis=1)
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
        model.n_features_in_ = regressors[0].n_features_in_
        return model

    def _one(self) -> SurrogateRegressor:
        settings: dict[str, Any] = self.regressor.get_params() if self.regressor else {}
        return SurrogateRegressor(**settings | {"target": "identity"})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output, tags.target_tags.single_output = True, False
        return tags


def _check_complete(y: npt.ArrayLike) -> None:
    """Before scikit-learn looks, which would say only that there is a NaN."""
    curves = np.asarray(y)
    if curves.dtype.kind == "f" and (curves.ndim != 2 or np.isnan(curves).any()):
        missing = " with missing values" if np.isnan(curves).any() else ""
        raise ValueError(
            f"curves are complete and of shape [n, epochs]; got shape {list(curves.shape)}{missing}"
        )
