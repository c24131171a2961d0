"""Gaussian process regression for few observations among a fixed set of candidates.

Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006), chapters 2 and 5, with the
Matérn kernel of smoothness 5/2. Instead of one best length scale and noise it takes a small grid of
them and averages by their marginal likelihood: no optimizer, and less overconfidence while there
are only a handful of observations. The signal's variance has a closed form.

An observation costs one row of numbers per grid point, because only candidates are observed: with
L the Cholesky factor of the observations' covariance and K theirs with all candidates, the next
row of L is the new candidate's column of V = L⁻¹ K, and the next row of V follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from nb201env.arrays import FloatArray

LENGTHS = (0.3, 0.6, 1.0, 2.0)
"""Length scales, in units of the root mean square distance between two candidates."""
NOISES = (0.01, 0.05, 0.2)
"""Variances of an observation's noise, as parts of the signal's variance."""
NEGLIGIBLE = 0.05
"""Grid points whose likelihood is a smaller part of the greatest one are left out."""


class GaussianProcess:
    """See the module's docstring.

    Args:
        views: Descriptions of the candidates, each float64 [m, features]. Each has a process of its own; what
            they believe is mixed evenly, so that where they disagree the deviation is large.
        capacity: How many observations there may be.
    """

    def __init__(self, views: Sequence[FloatArray], capacity: int) -> None:
        self._views = [_View(standardise(features), capacity) for features in views]

    def observe(self, candidate: int) -> None:
        """Take note that a candidate was observed; again, if it was before."""
        for view in self._views:
            view.observe(candidate)

    def posterior(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The mean and standard deviation of the signal at every candidate; float64 [m] each.

        Args:
            values: What was observed, around 0, in the order of `observe`; float64 [n].
        """
        means, squares = zip(*(view.moments(values) for view in self._views), strict=True)
        mean, square = np.mean(means, axis=0), np.mean(squares, axis=0)
        return mean, np.sqrt(np.maximum(square - mean**2, np.finfo(float).tiny))


class _View:
    """The process of one description: a grid of length scales and noises."""

    def __init__(self, features: FloatArray, capacity: int) -> None:
        self._features = features
        self._grid = [_Point(*pair, len(features), capacity) for pair in product(LENGTHS, NOISES)]

    def observe(self, candidate: int) -> None:
        squares = ((self._features - self._features[candidate]) ** 2).sum(axis=1)
        squares /= 2.0 * self._features.shape[1]  # the mean over all pairs is 1
        correlations = {length: matern(squares, length) for length in LENGTHS}
        for point in self._grid:
            point.observe(candidate, correlations[point.length])

    def moments(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The signal's first and second moment at every candidate; float64 [m] each."""
        fits = [point.fit(values) for point in self._grid]
        best = max(likelihood for likelihood, _, _ in fits)
        chances = np.exp([likelihood - best for likelihood, _, _ in fits])
        chances = np.where(chances < NEGLIGIBLE, 0.0, chances) / chances[chances >= NEGLIGIBLE].sum()
        mean, square = np.zeros((2, len(self._features)))
        for point, (_, white, signal), chance in zip(self._grid, fits, chances.tolist(), strict=True):
            if chance:
                center, variance = point.predict(white, signal)
                mean += chance * center
                square += chance * (variance + center**2)
        return mean, square


class _Point:
    """One length scale and noise: the Cholesky factor, and V for all candidates."""

    def __init__(self, length: float, noise: float, candidates: int, capacity: int) -> None:
        self.length = length
        self._noise = noise
        self._n = 0
        self._root: FloatArray = np.zeros((capacity, capacity))
        self._solved: npt.NDArray[np.float32] = np.zeros((capacity, candidates), dtype=np.float32)
        self._explained: FloatArray = np.zeros(candidates)

    def observe(self, candidate: int, correlation: FloatArray) -> None:
        n = self._n
        solved = self._solved[:n]
        column = solved[:, candidate]
        pivot = float(np.sqrt(1.0 + self._noise - column.astype(np.float64) @ column))
        self._root[n, :n], self._root[n, n] = column, pivot
        self._solved[n] = (correlation - column @ solved) / pivot
        self._explained += self._solved[n].astype(np.float64) ** 2
        self._n += 1

    def fit(self, values: FloatArray) -> tuple[float, FloatArray, float]:
        """The log marginal likelihood up to a constant, L⁻¹ values, and the signal's variance."""
        n = self._n
        root = self._root[:n, :n]
        white = solve_triangular(root, values, lower=True)
        signal = max(float(white @ white) / n, np.finfo(float).tiny)
        likelihood = -0.5 * n * np.log(signal) - float(np.log(np.diag(root)).sum())
        return likelihood, white, signal

    def predict(self, white: FloatArray, signal: float) -> tuple[FloatArray, FloatArray]:
        center = white.astype(np.float32) @ self._solved[: self._n]
        return center.astype(np.float64), signal * np.maximum(1.0 - self._explained, 1e-9)


def standardise(features: FloatArray) -> FloatArray:
    """Features that vary, with mean 0 and deviation 1 over the candidates."""
    varying = features[:, features.std(axis=0) > 0]
    return np.asarray((varying - varying.mean(axis=0)) / varying.std(axis=0))


def matern(squares: FloatArray, length: float) -> FloatArray:
    """The Matérn kernel of smoothness 5/2, of squared distances."""
    r = np.sqrt(5.0 * squares) / length
    return np.asarray((1.0 + r + r * r / 3.0) * np.exp(-r))
