"""`SurrogateRegressor`: an ensemble of boosted trees over an encoding, as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nb201env.arrays import Array, BoolArray, FloatArray, IntArray
from nb201env.classes import canonical_classes
from nb201env.space import all_ops, encode
from nb201env.surrogate.boosting import VarianceModel, predict, side_by_side, train
from nb201env.surrogate.encodings import make
from nb201env.surrogate.inputs import read_both, read_known
from nb201env.surrogate.observations import Observations
from nb201env.surrogate.targets import target as find_target


class SurrogateRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # no types there
    """Predicts a number (an accuracy, seconds) for architectures, and how far it may be off.

    The training architectures are cut into `n_members` folds, whole canonical classes each. Every
    member is trained on all folds but its own, and the prediction is the members' mean. What a
    member errs on its own fold teaches a `VarianceModel` how wrong predictions are where; together
    with the spread of the members that is the uncertainty.

    The defaults were chosen on CIFAR-10 validation accuracy alone, on draws other than those of
    the fidelity report.

    Args:
        encoding: An encoding's name (see `nb201env.surrogate.encodings`); `X` is then op numbers [n, 6].
            None takes `X` as features, whatever it is; scikit-learn's `check_estimator` needs that.
        target: The scale to learn on: "log_error" for accuracies, "log" for seconds, or "identity".
        n_members: Boosters in the ensemble, and folds.
        n_estimators: Trees per booster.
        learning_rate: XGBoost's.
        max_depth: XGBoost's; None is 5, or 6 from 1,000 and 7 from 3,000 training architectures on.
        min_child_weight: XGBoost's; the number of architectures that a leaf needs at least.
        subsample: Part of the architectures that each tree sees.
        colsample_bytree: Part of the features that each tree sees.
        n_jobs: Boosters trained at once; None is 1. Changes nothing but the time.
        random_state: Seed for folds and trees.

    Attributes:
        boosters_: The members.
        variance_: What the members' errors on their own folds say about where errors are large;
            None if there were too few architectures to tell.
        center_: Mean of the training targets on the scale.
        scale_: Their standard deviation on it.
        n_features_in_: Columns of `X`.
        feature_names_in_: Their names, if `X` was a data frame.
    """

    UNSEEN_SHARE = 0.7
    """Share of a fold's squared error that the mean of all members keeps, besides their spread;
    measured on CIFAR-10, where it calibrates the 80 % interval."""
    FEWEST_FOR_VARIANCE = 20
    OPTIMISM = 45
    """So many of n squared errors their model spends on its own shape, as a regression spends one on each
    coefficient; elsewhere squares are larger by 1 + 45 / n. It cannot split `FEWEST_FOR_VARIANCE` errors, and
    spends at most one on each further one. The least multiple of 5 with which the 80 % interval covers 80 %
    of CIFAR-10 with 78, 110, 156 and 300 architectures (the mean over draws 100 to 139)."""
    MAX_BIN = 64  # features are small counts, more bins find no other cuts

    def __init__(
        self,
        encoding: str | None = "paths+graph",
        target: str = "log_error",
        n_members: int = 10,
        n_estimators: int = 150,
        learning_rate: float = 0.1,
        max_depth: int | None = None,
        min_child_weight: float = 1.0,
        subsample: float = 0.8,
        colsample_bytree: float = 0.5,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.encoding = encoding
        self.target = target
        self.n_members = n_members
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.n_jobs = n_jobs
        self.random_state = random_state

    # -- learning --------------------------------------------------------------------------------

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Learn from architectures and their values.

        Args:
            X: Architectures: op numbers, integer [n, 6], or another form of `nb201env.surrogate.inputs`, data
                frames among them; with encoding=None features, float [n, features].
            y: Values, float [n]; accuracies are fractions, times are seconds.
            sample_weight: How much each row counts, float [n], 0 or more; None for all the same. Twice the
                weight is the row twice, 0 is the row left out, and only ratios count.

        Raises:
            ValueError: If an argument has the wrong shape or range.
        """
        known, values = read_both(self, self.encoding, X, y)
        self._check_numbers()
        scale = find_target(self.target)
        scale.check(values)
        seen = Observations.of(known, scale.forward(values), sample_weight)
        self.center_, self.scale_ = seen.mean(), seen.deviation() or 1.0
        self._fit_members(known[seen.rows], seen)
        return self

    def _check_numbers(self) -> None:
        for name in ("n_members", "n_estimators", "max_depth"):
            value = getattr(self, name)
            if name == "max_depth" and value is None:
                continue
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}")

    def _fit_members(self, known: Array, seen: Observations) -> None:
        features, t = self._features(known), (seen.values - self.center_) / self.scale_
        random = check_random_state(self.random_state)
        folds = folds_of(self._groups(known), self.n_members, random)
        seeds = random.randint(2**31 - 1, size=self.n_members)
        jobs = [
            (features, t, seen.weight, folds != member, int(seeds[member]))
            for member in range(self.n_members)
        ]
        self.boosters_ = side_by_side(self._fit_member, jobs, self.n_jobs)
        self.variance_ = self._fit_variance(features, t, seen, folds, int(seeds[0]))

    def _fit_member(
        self, features: FloatArray, t: FloatArray, weight: FloatArray | None, rows: BoolArray, seed: int
    ) -> Any:
        rows = rows if rows.any() else np.ones_like(rows)
        depth = self.max_depth or _depth_for(len(t))
        return train(
            features[rows], t[rows], self.n_estimators, seed, None if weight is None else weight[rows],
            learning_rate=self.learning_rate, max_depth=depth, base_score=0.0,
            min_child_weight=self.min_child_weight, subsample=self.subsample,
            colsample_bytree=self.colsample_bytree, max_bin=self.MAX_BIN,
        )  # fmt: skip

    def _fit_variance(
        self, features: FloatArray, t: FloatArray, seen: Observations, folds: IntArray, seed: int
    ) -> VarianceModel | None:
        if len(t) < self.FEWEST_FOR_VARIANCE or len(np.unique(folds)) < 2:
            return None
        errors = np.empty_like(t)
        for member in np.unique(folds):
            own = folds == member
            errors[own] = predict(self.boosters_[member], features[own]) - t[own]
        spent = min(len(t) - self.FEWEST_FOR_VARIANCE, self.OPTIMISM)
        squares = (errors**2 + seen.scatter / self.scale_**2) * (1 + spent / len(t))
        return VarianceModel(seed=seed).fit(features, squares, seen.weight)

    # -- predicting ------------------------------------------------------------------------------

    @overload
    def predict(self, X: npt.ArrayLike, return_std: Literal[False] = False) -> FloatArray: ...

    @overload
    def predict(self, X: npt.ArrayLike, return_std: Literal[True]) -> tuple[FloatArray, FloatArray]: ...

    def predict(
        self, X: npt.ArrayLike, return_std: bool = False
    ) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Predict values.

        Args:
            X: As in `fit`.
            return_std: Also return the standard deviation of the error to expect.

        Returns:
            Values, float64 [n], in the unit of `y`; with `return_std` also the deviations, float64
            [n], in the same unit.

        Raises:
            sklearn.exceptions.NotFittedError: If `fit` was not called.
        """
        values, deviations = self._in_unit(*self.predict_on_scale(X))
        return (values, deviations) if return_std else values

    def predict_on_scale(self, X: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """The prediction and its standard deviation on the scale of `target`, float64 [n] each."""
        check_is_fitted(self, "boosters_")
        return self._on_scale(self._features(read_known(self, self.encoding, X)))

    def predict_all(self) -> tuple[FloatArray, FloatArray]:
        """Values and standard deviations of the whole space by index, float64 [15625] each."""
        check_is_fitted(self, "boosters_")
        # Op numbers by themselves, whatever columns `fit` saw.
        ops = all_ops() if self.encoding else read_known(self, None, all_ops())
        return self._in_unit(*self._on_scale(self._features(ops)))

    # -- inside ------------------------------------------------------------------------------------

    def _on_scale(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        jobs = [(booster, features) for booster in self.boosters_]
        members = np.array(side_by_side(predict, jobs, self.n_jobs))
        # Sums of one architecture's members in one order: members of a class stay exactly equal.
        center = members.mean(axis=0)
        variance = members.var(axis=0)
        if self.variance_ is not None:
            variance = variance + self.UNSEEN_SHARE * self.variance_.predict(features)
        return center * self.scale_ + self.center_, np.sqrt(variance) * self.scale_

    def _in_unit(self, center: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Places on the scale and spreads there, as values and spreads of values."""
        scale = find_target(self.target)
        return scale.inverse(center), spread * scale.slope(center)

    def _features(self, X: Array) -> FloatArray:
        if self.encoding is None:
            return np.asarray(X, dtype=np.float64)
        return np.asarray(make(self.encoding).transform(X), dtype=np.float64)

    def _groups(self, X: Array) -> IntArray:
        if self.encoding is None:
            return np.arange(len(X))
        return canonical_classes()[encode(X)]


def _depth_for(size: int) -> int:
    """The depth that ranks CIFAR-10 best: more architectures bear deeper trees."""
    return 5 + (size >= 1000) + (size >= 3000)


def folds_of(groups: IntArray, n_folds: int, random: np.random.RandomState) -> IntArray:
    """A random fold number for each row, int64 [n]; rows of one group share it."""
    names, group = np.unique(groups, return_inverse=True)
    return np.asarray(random.permutation(len(names))[group] % n_folds, dtype=np.int64)
