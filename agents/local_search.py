"""Local search: climb to the best neighbour; where there is none, start again elsewhere.

White, Nolen & Savani, "Exploring the loss landscape in neural architecture search" (UAI 2021; its
preprint is called "Local search is state of the art for NAS benchmarks").
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from nb201env.agents.contract import Env, Proposals, follow, never_asked
from nb201env.architecture import Architecture

Rewards = dict[int, float]
"""The last reward of every architecture asked for, by index."""


@dataclass(frozen=True)
class LocalSearch:
    """Climb from random starts.

    An answer is one run's, so a climb may end beside a better architecture that was unlucky once.

    Attributes:
        move: "best" asks for all 24 one-edge neighbours and moves to the best of them, if it is
            better; "first" asks in random order and moves to the first that is better.
        ask_again: Whether an architecture met a second time is asked a second time (for another
            run, perhaps); otherwise its first answer counts.
    """

    move: str = "best"
    ask_again: bool = False

    def __post_init__(self) -> None:
        if self.move not in ("best", "first"):
            raise ValueError(f"move must be 'best' or 'first'; got {self.move!r}")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> Proposals:
        """The search itself."""
        known: Rewards = {}
        while True:
            current: int | None = never_asked(known, rng)
            while current is not None:
                reward = yield from self._reward(current, known)
                current = yield from self._step(current, reward, known, rng)

    def _step(
        self, current: int, reward: float, known: Rewards, rng: np.random.Generator
    ) -> Generator[Architecture, float, int | None]:
        """The neighbour to move to; None at a local optimum."""
        best, target = reward, None
        around = [neighbour.index for neighbour in Architecture.from_index(current).neighbours()]
        for neighbour in rng.permutation(around).tolist():
            found = yield from self._reward(neighbour, known)
            if found > best:
                best, target = found, neighbour
                if self.move == "first":
                    break
        return target

    def _reward(self, index: int, known: Rewards) -> Generator[Architecture, float, float]:
        if self.ask_again or index not in known:
            known[index] = yield Architecture.from_index(index)
        return known[index]
