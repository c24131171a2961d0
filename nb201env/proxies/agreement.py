"""How well proxies put architectures in the order of a table's accuracies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.comparison import Correlations, correlations, cost_names, costs, mean_ranks
from nb201env.cost import CLOSED_FORMS
from nb201env.proxies import Proxies
from nb201env.table import Table

AZ_NAS = "expressivity", "progressivity", "trainability", "macs"
"""What the score "az_nas" is made of."""


class Agreement(NamedTuple):
    """How well a score ranks architectures.

    Attributes:
        name: The score's.
        each: Its correlations with the accuracy at each initialisation.
        mean: That of its mean over initialisations.
    """

    name: str
    each: list[Correlations]
    mean: Correlations

    def typical(self, which: str) -> tuple[float, float]:
        """The mean over initialisations of "kendall", "spearman" or "kendall_top", and half its range."""
        found = [getattr(one, which) for one in self.each]
        return float(np.mean(found)), float(max(found) - min(found)) / 2


def scores(proxies: Proxies, table: Table) -> dict[str, FloatArray]:
    """All that ranks architectures without a training, by name; float64 [initialisations, 15625] each.

    Beside the proxies these are "params" and "macs", as far as the table has them, and "az_nas", the sum of
    the logarithms of the ranks of `AZ_NAS` (Lee & Ham, CVPR 2024), if all of these are there.

    Args:
        proxies: Of the table's networks.
        table: Says what architectures cost.
    """
    count = range(proxies.initialisations)
    found = {
        name: np.stack([proxies.scores(name, initialisation=one) for one in count]) for name in proxies.names
    }
    found |= {name: costs(table, name)[None] for name in CLOSED_FORMS if name in cost_names(table)}
    if all(name in found for name in AZ_NAS):
        found["az_nas"] = np.sum([_log_ranks(found[name]) for name in AZ_NAS[:-1]], axis=0)
        found["az_nas"] += _log_ranks(found[AZ_NAS[-1]])
    return found


def _log_ranks(values: FloatArray) -> FloatArray:
    """Of each row: logarithms of ranks that end at 1."""
    return np.stack([np.log((mean_ranks(row) + 1) / len(row)) for row in values])


def agreements(found: Mapping[str, FloatArray], accuracy: FloatArray) -> list[Agreement]:
    """How well scores rank architectures, the best by Kendall's tau first.

    Args:
        found: As `scores` gives them.
        accuracy: By lexicographic index, NaN where it is not known; float64 [15625].

    Raises:
        ValueError: If fewer than two accuracies are known.
    """
    held = ~np.isnan(accuracy)
    if held.sum() < 2:
        raise ValueError(f"the accuracy of {held.sum()} architectures is known; two are needed to rank them")
    right = accuracy[held]
    made = [
        Agreement(
            name,
            [correlations(one[held], right) for one in values],
            correlations(values.mean(axis=0)[held], right),
        )
        for name, values in found.items()
    ]
    return sorted(made, key=lambda one: -np.nan_to_num(one.typical("kendall")[0], nan=-2.0))
