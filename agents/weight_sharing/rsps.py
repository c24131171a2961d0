"""RSPS, random search with parameter sharing: uniform paths train, the best of 100 is chosen.

Li & Talwalkar, UAI 2019; official settings of NAS-Bench-201 (``RANDOM-NAS.sh``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nb201env.agents.weight_sharing.search import Derive, Lab, WeightSharing
from nb201env.architecture import Architecture
from nb201env.space import EDGES, NONE, NUM_EDGES, NUM_OPS, SIZE


@dataclass(frozen=True)
class RSPS(WeightSharing):
    """Train uniformly random paths; choose by one-shot accuracy.

    Attributes:
        candidates: How many distinct random architectures the result is chosen from.
    """

    candidates: int = 100

    def train(self, lab: Lab) -> Iterator[Derive]:
        """See `WeightSharing.train`."""
        for epoch in lab.epochs():
            for batch, _ in lab.batches(epoch):
                lab.descend(batch, partial(lab.supernet.path, architecture=connected(lab.rng)))
            yield partial(self._derive, lab, epoch)

    def _derive(self, lab: Lab, epoch: int) -> Architecture:
        chosen = lab.aside(epoch).choice(SIZE, self.candidates, replace=False)
        return lab.best_of([Architecture.from_index(int(index)) for index in chosen])


def connected(rng: np.random.Generator) -> Architecture:
    """A uniformly random architecture among those whose every node has an edge that is not "none"."""
    while True:
        ops = rng.integers(NUM_OPS, size=NUM_EDGES)
        if all((ops[edges] != NONE).any() for edges in _INTO):
            return Architecture(tuple(ops.tolist()))


_INTO = [[edge for edge in range(NUM_EDGES) if EDGES[edge][1] == node] for node in (1, 2, 3)]
