"""Best proxy: the canonical classes in the order of one zero-cost proxy.

Nothing is learnt from the answers: the first query is what a search without any training would choose. The
default is NASWOT (Mellor, Turner, Storkey & Crowley, "Neural Architecture Search without Training", ICML
2021), which asks whether a network's ReLUs tell images apart. ``{"proxy": "macs"}``, the largest network
first, is what every proxy has to beat (White, Khodak, Tu, Shah, Bubeck & Dey, "A Deeper Look at Zero-Cost
Proxies for Lightweight NAS", ICLR blog track 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nb201env.agents.contract import Env, Proposals, follow
from nb201env.agents.training_free.proxy_ranks import in_order
from nb201env.agents.training_free.scores import check_proxies, class_scores


@dataclass(frozen=True)
class BestProxy:
    """Ask for the classes' first members, best first; again only when all were asked.

    The seed draws at which initialisation each network is scored, and the order of equal scores.

    Attributes:
        proxy: A name of `nb201env.open_proxies`, or "params" or "macs".
    """

    proxy: str = "nwot"

    def __post_init__(self) -> None:
        check_proxies([self.proxy])

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> Proposals:
        """The search itself."""
        return in_order(class_scores([self.proxy], rng), rng)
