"""Noise: how far runs of one architecture lie apart, so that sampled rewards spread like real seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nb201env.arrays import FloatArray, IntArray
from nb201env.surrogate.boosting import VarianceModel
from nb201env.surrogate.encodings import make
from nb201env.surrogate.targets import target as find_target


class NoiseModel:
    """The distribution of runs around an architecture's mean.

    A run is mean + deviation(architecture) x shape, on the scale of the target. The variance of the
    deviation is learnt from the sample variances of the training architectures' runs. The shapes are
    their standardised deviations, pooled: whole curves where the runs are learning curves, so that
    a run which lies low at one epoch lies low at the next as real ones do.

    Args:
        encoding: An encoding's name; one that is equal within canonical classes.
        target: The scale; the one of the accuracy's `SurrogateRegressor`.
        seed: For the boosted trees and for thinning the pool.

    Attributes:
        variance_: The fitted `VarianceModel`, of the last epoch.
        shapes_: The pool, float64 [shapes, epochs]; used with both signs.
    """

    MOST_SHAPES = 512
    FEWEST = 5

    def __init__(self, encoding: str = "paths+graph", target: str = "log_error", seed: int = 0) -> None:
        self.encoding = encoding
        self.target = target
        self.seed = seed

    def fit(self, X: npt.ArrayLike, runs: FloatArray) -> NoiseModel:
        """Learn from architectures that were run several times.

        Args:
            X: Op numbers, integer [n, 6].
            runs: Accuracies, float64 [n, runs] or [n, runs, epochs], NaN where a run is missing.

        Raises:
            ValueError: If fewer than 5 architectures have two runs.
        """
        t = find_target(self.target).forward(runs if runs.ndim == 3 else runs[:, :, None])
        count = (~np.isnan(t[:, :, -1])).sum(axis=1)
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
        sample_variance = np.nansum(deviation[:, :, -1] ** 2, axis=1) / freedom
        self.variance_ = VarianceModel(seed=self.seed).fit(features, sample_variance, freedom)
        self.shapes_ = self._pool(deviation, count, self.variance_.predict(features))
        return self

    def _pool(self, deviation: FloatArray, count: IntArray, variance: FloatArray) -> FloatArray:
        # Deviations from the mean of n runs are sqrt(1 - 1/n) too small.
        unit = deviation / np.sqrt(variance * (1 - 1 / count))[:, None, None]
        pool = unit.reshape(-1, unit.shape[-1])
        pool = pool[~np.isnan(pool).any(axis=1)]
        if len(pool) <= self.MOST_SHAPES:
            return pool
        if pool.shape[1] > 1:
            return np.random.default_rng(self.seed).permutation(pool)[: self.MOST_SHAPES]
        middles = (np.arange(self.MOST_SHAPES) + 0.5) / self.MOST_SHAPES
        return np.asarray(np.quantile(pool, middles, axis=0))

    def deviation(self, X: npt.ArrayLike) -> FloatArray:
        """The standard deviation between runs at the last epoch, on the scale of the target; [n]."""
        return self._roots(X) * float(np.sqrt(np.mean(self.shapes_[:, -1] ** 2)))

    def draw(self, X: npt.ArrayLike, runs: int, rng: np.random.Generator) -> FloatArray:
        """Random deviations from the architecture's mean, on the scale; float64 [n, runs, epochs]."""
        roots = self._roots(X)
        which = rng.integers(len(self.shapes_), size=(len(roots), runs))
        sign = rng.choice([-1.0, 1.0], size=(len(roots), runs, 1))
        return np.asarray(sign * self.shapes_[which] * roots[:, None, None])

    def sample(
        self, X: npt.ArrayLike, mean: FloatArray, runs: int, rng: np.random.Generator, *, centred: bool
    ) -> FloatArray:
        """Accuracies of imagined runs.

        Args:
            X: Op numbers, integer [n, 6].
            mean: The predicted accuracies, float64 [n], or [n, epochs].
            runs: How many runs of each.
            rng: The source of randomness.
            centred: Shift each architecture's runs so that they scatter around `mean` as real runs
                do around their own mean; else each run is drawn by itself.

        Returns:
            Fractions in [0, 1], float64 [n, runs] or [n, runs, epochs].
        """
        scale, curves = find_target(self.target), mean.ndim == 2
        drawn = self.draw(X, runs, rng)
        drawn = drawn - drawn.mean(axis=1, keepdims=True) if centred else drawn
        t = scale.forward(mean if curves else mean[:, None])[:, None, :]
        accuracy = np.clip(scale.inverse(t + drawn), 0.0, 1.0)
        return accuracy if curves else accuracy[:, :, 0]

    # -- as plain values, for saving -----------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"encoding": self.encoding, "target": self.target, "seed": self.seed}

    @classmethod
    def of(cls, settings: Mapping[str, Any], variance: VarianceModel, shapes: FloatArray) -> NoiseModel:
        """A fitted model from its parts."""
        model = cls(**settings)
        model.variance_, model.shapes_ = variance, shapes
        return model

    def _roots(self, X: npt.ArrayLike) -> FloatArray:
        if not hasattr(self, "variance_"):
            raise ValueError("this NoiseModel is not fitted; call fit first")
        return np.sqrt(self.variance_.predict(make(self.encoding).transform(X)))
