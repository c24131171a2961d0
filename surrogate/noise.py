"""Noise: how far runs of one architecture lie apart, so that sampled rewards spread like real seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from surrogate.boosting import VarianceModel
from surrogate.encodings import make
from surrogate.features import FloatArray
from surrogate.targets import target as find_target


class NoiseModel:
    """The distribution of runs around an architecture's mean.

    A run is mean + deviation(architecture) x shape, on the scale of the target. The variance of the
    deviation is learnt from the sample variances of the training architectures' runs; the shape is
    the pooled distribution of their standardised deviations, made symmetric, as quantiles.

    Args:
        encoding: An encoding's name; one that is equal within canonical classes.
        target: The scale; the one of the accuracy's `SurrogateRegressor`.
        seed: For the boosted trees.

    Attributes:
        variance_: The fitted `VarianceModel`.
        quantiles_: Standardised deviations at evenly spaced probabilities, float64 [129].
    """

    QUANTILES = 129
    FEWEST = 5

    def __init__(
        self, encoding: str = "paths+graph", target: str = "log_error", seed: int = 0
    ) -> None:
        self.encoding = encoding
        self.target = target
        self.seed = seed

    def fit(self, X: npt.ArrayLike, runs: FloatArray) -> NoiseModel:
        """Learn from architectures that were run several times.

        Args:
            X: Op numbers, integer [n, 6].
            runs: Accuracies, float64 [n, runs], NaN where a run is missing.

        Raises:
            ValueError: If fewer than 5 architectures have two runs.
        """
        t = find_target(self.target).forward(runs)
        count = (~np.isnan(t)).sum(axis=1)
        several = count > 1
        if several.sum() < self.FEWEST:
            raise ValueError(
                f"noise needs at least {self.FEWEST} architectures with two runs, got {several.sum()}; "
                "fit on more architectures, or on a table with several seeds"
            )
        t, count = t[several], count[several]
        deviation = t - np.nanmean(t, axis=1, keepdims=True)
        freedom = (count - 1).astype(np.float64)
        features = make(self.encoding).transform(np.asarray(X)[several])
        sample_variance = np.nansum(deviation**2, axis=1) / freedom
        self.variance_ = VarianceModel(seed=self.seed).fit(features, sample_variance, freedom)
        self.quantiles_ = self._shape(deviation, count, self.variance_.predict(features))
        return self

    def _shape(self, deviation: FloatArray, count: FloatArray, variance: FloatArray) -> FloatArray:
        # Deviations from the mean of n runs are sqrt(1 - 1/n) too small.
        unit = deviation / np.sqrt(variance * (1 - 1 / count))[:, None]
        pooled = unit[~np.isnan(unit)]
        middle = (np.arange(self.QUANTILES) + 0.5) / self.QUANTILES
        return np.asarray(np.quantile(np.concatenate([pooled, -pooled]), middle))

    def deviation(self, X: npt.ArrayLike) -> FloatArray:
        """The standard deviation between runs on the scale of the target, float64 [n]."""
        self._check_fitted()
        return np.sqrt(self.variance_.predict(make(self.encoding).transform(X)) * float(self.quantiles_.var()))

    def draw(self, X: npt.ArrayLike, runs: int, rng: np.random.Generator) -> FloatArray:
        """Random deviations of runs from their architecture's mean, on the scale; float64 [n, runs]."""
        self._check_fitted()
        variance = self.variance_.predict(make(self.encoding).transform(X))
        shape = rng.choice(self.quantiles_, size=(len(variance), runs))
        return np.asarray(shape * np.sqrt(variance)[:, None])

    def sample(self, X: npt.ArrayLike, mean: FloatArray, runs: int, rng: np.random.Generator) -> FloatArray:
        """Accuracies of imagined runs.

        Args:
            X: Op numbers, integer [n, 6].
            mean: The predicted accuracies, float64 [n].
            runs: How many runs of each.
            rng: The source of randomness.

        Returns:
            Fractions in [0, 1], float64 [n, runs].
        """
        scale = find_target(self.target)
        return np.clip(scale.inverse(scale.forward(mean)[:, None] + self.draw(X, runs, rng)), 0.0, 1.0)

    # -- as plain values, for saving -----------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"encoding": self.encoding, "target": self.target, "seed": self.seed}

    @classmethod
    def of(cls, settings: Mapping[str, Any], variance: VarianceModel, quantiles: FloatArray) -> NoiseModel:
        """A fitted model from its parts."""
        model = cls(**settings)
        model.variance_, model.quantiles_ = variance, quantiles
        return model

    def _check_fitted(self) -> None:
        if not hasattr(self, "variance_"):
            raise ValueError("this NoiseModel is not fitted; call fit first")
