"""Predictor-guided search for a front: ask where the hypervolume is expected to grow most.

Bayesian optimisation with the expected hypervolume improvement (Emmerich, Giannakoglou & Naujoks, IEEE
Transactions on Evolutionary Computation, 2006). As in `nb201env.agents.predictor_evolution`, for one
objective, a Gaussian process over the surrogate's encodings learns from every answer: here one for each
objective, without regard to the others. As there are 5,485 canonical classes, the exact expectation (see
`nb201env.agents.fronts.boxes`) is computed for all of them, where others sample or climb.

No objective is taken for known: that costs such as params have no noise, the processes learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nb201env.agents.contract import Env, SeveralProposals, follow
from nb201env.agents.fronts.boxes import improvement, open_boxes
from nb201env.agents.predictor_evolution import class_features, class_members
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.fronts.front import nondominated
from nb201env.surrogate import check_extra

if TYPE_CHECKING:
    from nb201env.agents.gaussian_process import GaussianProcess


@dataclass(frozen=True)
class EHVI:
    """Fit a Gaussian process to each objective, ask where the hypervolume is expected to grow most, repeat.

    The defaults were chosen on CIFAR-100 alone, with accuracy and params as the objectives.

    The reference point of the hypervolume is the worst of every objective that was seen so far, less `margin`
    times the distance from there to the best.

    Attributes:
        encoding: How architectures are described; see `nb201env.surrogate.encodings`.
        startup: Random classes asked before the first fit.
        front: Whose hypervolume is to grow: "seen", of the rewards as they were; "mean", of what the
            processes make of them, without the luck of single runs.
        margin: See above.
        memory: When the processes have learnt from more answers than this, they forget all but the half that
            is nearest to the front, counted in the layers that others dominate.
    """

    encoding: str = "graph+canonical+livecost"
    startup: int = 5
    front: str = "mean"
    margin: float = 0.1
    memory: int = 500

    def __post_init__(self) -> None:
        if self.front not in ("seen", "mean"):
            raise ValueError(f"front must be 'seen' or 'mean'; got {self.front!r}")
        for name in ("startup", "memory"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)!r}")
        if not 0 <= self.margin < float("inf"):
            raise ValueError(f"margin must be a finite number of at least 0; got {self.margin!r}")
        check_extra()

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> SeveralProposals:
        """The search itself."""
        members, predictor = class_members(), _Predictor(class_features(self.encoding), self.memory)
        asked: list[int] = []
        rewards: list[FloatArray] = []
        times = np.zeros(len(members), dtype=np.int64)
        start = rng.permutation(len(members))[: self.startup].tolist()
        while True:
            chosen = start.pop() if start else self._choose(asked, rewards, times, predictor)
            own = members[chosen]
            asked.append(chosen)
            rewards.append((yield Architecture.from_index(int(own[times[chosen] % len(own)]))))
            times[chosen] += 1

    def _choose(
        self, asked: list[int], rewards: list[FloatArray], times: IntArray, predictor: _Predictor
    ) -> int:
        """The next class to ask for: a class is asked again only when all others were asked as often."""
        seen = np.array(rewards)
        spread = seen.std(axis=0)
        targets = (seen - seen.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        mean, deviation = predictor.predict(asked, targets)
        found = targets if self.front == "seen" else mean[:, asked].T
        worst, best = found.min(axis=0), found.max(axis=0)
        boxes = open_boxes(found[nondominated(found)], worst - self.margin * (best - worst))
        candidates = np.flatnonzero(times == times.min())
        return int(candidates[improvement(mean[:, candidates], deviation[:, candidates], *boxes).argmax()])


class _Predictor:
    """One Gaussian process per objective; as all observe the same candidates, they share what is no value."""

    def __init__(self, features: FloatArray, memory: int) -> None:
        self._features, self._memory = features, memory
        self._process = self._fresh()
        self._learnt: list[int] = []  # positions in `asked`
        self._known = 0

    def _fresh(self) -> GaussianProcess:
        from nb201env.agents.gaussian_process import GaussianProcess

        return GaussianProcess([self._features], self._memory)

    def predict(self, asked: list[int], targets: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The mean and standard deviation of every objective and candidate; float64 [m, candidates] each."""
        new = list(range(self._known, len(asked)))
        self._known = len(asked)
        if len(self._learnt) + len(new) > self._memory:
            self._process, self._learnt = self._fresh(), []
            new = np.sort(_nearest(targets, max(self._memory // 2, 1))).tolist()
        for position in new:
            self._process.observe(asked[position])
        self._learnt += new
        fits = [self._process.posterior(column) for column in targets[self._learnt].T]
        return np.array([mean for mean, _ in fits]), np.array([deviation for _, deviation in fits])


def _nearest(points: FloatArray, count: int) -> IntArray:
    """The positions of so many points: of the front, then of what is the front without these, and so on."""
    layers: list[IntArray] = []
    left = np.arange(len(points))
    while sum(len(layer) for layer in layers) < count:
        kept = nondominated(points[left])
        layers.append(left[kept])
        left = left[~kept]
    return np.concatenate(layers)[:count]
