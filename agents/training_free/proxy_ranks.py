"""Proxy ranks: the canonical classes in the order of what several zero-cost proxies promise together.

Nothing is learnt from the answers: the first query is what a search without any training would choose. The
default is AZ-NAS (Lee & Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR
2024): expressivity, progressivity, trainability and complexity, by the sum of the logarithms of their ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nb201env.agents.contract import Env, Proposals, follow
from nb201env.agents.training_free.scores import best_first, check_proxies, class_scores
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.classes import representatives


@dataclass(frozen=True)
class ProxyRanks:
    """Ask for the classes' first members, best first; again only when all were asked.

    The seed draws at which initialisation each network is scored, and the order of equal scores.

    Attributes:
        proxies: Names of `nb201env.open_proxies`, or "params" or "macs".
        combine: What of a class's ranks is added: "log", their logarithms, or "mean", the ranks themselves.
    """

    proxies: tuple[str, ...] = ("expressivity", "progressivity", "trainability", "macs")
    combine: str = "log"

    def __post_init__(self) -> None:
        check_proxies(self.proxies, self.combine)

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> Proposals:
        """The search itself."""
        return in_order(class_scores(self.proxies, rng, self.combine), rng)


def in_order(scores: FloatArray, rng: np.random.Generator) -> Proposals:
    """The first members of the canonical classes, best first, over and over.

    Args:
        scores: By canonical class; float64 [5485].
        rng: What decides between equal scores.
    """
    members = representatives()
    while True:
        for chosen in best_first(scores, rng).tolist():
            yield Architecture.from_index(int(members[chosen]))
