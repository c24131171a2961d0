"""The scales on which targets are learnt.

Differences between good architectures are small: 91.0 and 91.5 % are as far apart, to a search, as
80 and 85 %. On the scale of the log error, t = -log(1 - accuracy), they are further apart than in
per cent, which raises the rank correlation among the best without losing it elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nb201env.arrays import FloatArray

_MOST = 1.0 - 1e-9  # an accuracy of exactly 1 has no finite log error


@dataclass(frozen=True)
class Target:
    """A scale: the way there, the way back, and how steep the way back is.

    Attributes:
        name: Its name in `TARGETS`.
        forward: Values to the scale.
        inverse: The scale to values.
        slope: d(value)/d(scale), at places on the scale; turns small spreads into those of values.
        low: The least value that has a place on the scale.
        high: The greatest.
    """

    name: str
    forward: Callable[[FloatArray], FloatArray]
    inverse: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    low: float = -np.inf
    high: float = np.inf

    def check(self, values: FloatArray) -> None:
        """Raise ValueError if a value (NaN aside) has no place on the scale."""
        if bool((values < self.low).any() or (values > self.high).any()):
            raise ValueError(
                f"target {self.name!r} needs values in [{self.low:g}, {self.high:g}], got "
                f"{np.nanmin(values):g} to {np.nanmax(values):g}; accuracies are fractions, not per cent"
            )


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("identity", lambda y: y, lambda t: t, np.ones_like),
        Target("log", np.log, np.exp, np.exp, low=np.finfo(float).tiny),
        Target(
            "log_error",
            lambda y: -np.log1p(-np.minimum(y, _MOST)),
            lambda t: -np.expm1(-np.maximum(t, 0.0)),
            lambda t: np.exp(-t),
            low=0.0,
            high=1.0,
        ),
    )
}


def target(name: str) -> Target:
    """The scale of this name.

    Raises:
        ValueError: If there is none; the message lists them.
    """
    if name not in TARGETS:
        raise ValueError(f"unknown target {name!r}; use one of {', '.join(TARGETS)}")
    return TARGETS[name]
