"""BOHB: Hyperband, whose new architectures come from a density model of the good ones.

Falkner, Klein & Hutter, ICML 2018, with the settings of the NAS-Bench-201 and NATS-Bench papers
(AutoDL-Projects ``exps/NATS-algos/bohb.py``). Their program, hpbandster, is no longer maintained;
its model is statsmodels' `KDEMultivariate`, and so it is here. What is ours are the brackets.

On a table with epochs a rung is a real partial training, and a promoted architecture is trained
from the start again, as the official simulation charges it. On a table without, every rung is the
whole training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nb201env.agents.contract import Env, query, recorded_epochs
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.extras import check
from nb201env.space import NUM_EDGES, NUM_OPS, sample

_TINY = 1e-32  # keeps the ratio of two densities finite
Bracket = list[tuple[int, float]]
"""The rungs of a bracket: how many architectures, and which share of the whole training."""


@dataclass(frozen=True)
class BOHB:
    """Bayesian optimisation and Hyperband.

    Attributes:
        eta: Of the architectures of a rung, one in `eta` goes on to the next, which trains `eta`
            times as long.
        longest_over_shortest: The whole training over the shortest of interest; 12 is NATS-Bench's
            1 to 12 epochs. With eta = 3 the rungs are a ninth, a third and the whole training.
        num_samples: Candidates drawn from the model, of which the most promising is asked for.
        random_fraction: The share of architectures drawn uniformly instead.
        min_bandwidth: The least chance that a candidate's operation is drawn anew. (The official
            bandwidth_factor, 3, widens continuous parameters only; there are none here.)
        top_percent: How many of a rung's architectures, per cent, the model takes for good.
        min_points: The fewest architectures that a density is fitted to.
    """

    eta: int = 3
    longest_over_shortest: float = 12.0
    num_samples: int = 4
    random_fraction: float = 0.0
    min_bandwidth: float = 0.3
    top_percent: int = 15
    min_points: int = NUM_EDGES + 1

    def __post_init__(self) -> None:
        if self.eta < 2 or self.num_samples < 1 or self.min_points <= NUM_EDGES:
            raise ValueError(
                f"eta must be at least 2, num_samples at least 1 and min_points above {NUM_EDGES}; "
                f"got {self.eta}, {self.num_samples} and {self.min_points}"
            )
        check("statsmodels", "agents")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        rng = np.random.default_rng(seed)
        epochs = recorded_epochs(env)
        models: dict[float, Model] = {}
        for bracket in self.brackets():
            rung: list[Architecture] = []
            for size, share in bracket:
                model = models.setdefault(share, Model(self.top_percent, self.min_points, self.min_bandwidth))
                rewards: list[float] = []
                for place in range(size):
                    if place == len(rung):
                        rung.append(self.propose(models, rng))
                    reward, _, over = query(env, rung[place], epochs=after(share, epochs))
                    if over:
                        return
                    model.add(rung[place], reward)
                    rewards.append(reward)
                rung = [rung[place] for place in np.argsort(-np.array(rewards), kind="stable")]

    def brackets(self) -> Iterator[Bracket]:
        """Hyperband's brackets, without end: from many short trainings to few whole ones."""
        # The small number keeps a power of eta on its side of the rounding.
        rungs = int(math.log(self.longest_over_shortest, self.eta) + 1e-9) + 1
        while True:
            for last in reversed(range(rungs)):
                first = rungs // (last + 1) * self.eta**last
                yield [(max(first // self.eta**i, 1), self.eta ** float(i - last)) for i in range(last + 1)]

    def propose(self, models: dict[float, Model], rng: np.random.Generator) -> Architecture:
        """A new architecture: from the model of the longest trainings that has one, or uniform."""
        ready = [share for share, model in models.items() if model.ready]
        if not ready or rng.random() < self.random_fraction:
            return Architecture.from_index(int(sample(rng)))
        return models[max(ready)].propose(self.num_samples, rng)


def after(share: float, epochs: tuple[int, ...]) -> int:
    """The recorded epochs that a share of the whole training means: the last not beyond it."""
    within = [epoch for epoch in epochs if epoch <= share * epochs[-1]]
    return within[-1] if within else epochs[0]


@dataclass
class Model:
    """Two densities over the architectures trained equally long: of the good, and of the others.

    Attributes:
        top_percent, min_points, min_bandwidth: As in `BOHB`.
    """

    top_percent: int
    min_points: int
    min_bandwidth: float
    _ops: list[tuple[int, ...]] = field(default_factory=list)
    _rewards: list[float] = field(default_factory=list)

    def add(self, architecture: Architecture, reward: float) -> None:
        """Remember a result."""
        self._ops.append(architecture.ops)
        self._rewards.append(reward)

    @property
    def ready(self) -> bool:
        """Whether there are enough results for both densities."""
        return len(self._ops) - self._good() >= self.min_points

    def propose(self, candidates: int, rng: np.random.Generator) -> Architecture:
        """The best of some candidates by the ratio of the two densities.

        A candidate is a good architecture some of whose operations are drawn anew.
        """
        order = np.argsort(-np.array(self._rewards), kind="stable")
        ops = np.array(self._ops)[order]
        good, bad = self._density(ops[: self._good()]), self._density(ops[self._good() :])
        origin = ops[rng.integers(self._good(), size=candidates)]
        anew = rng.random((candidates, NUM_EDGES)) < good.bw
        drawn = np.where(anew, rng.integers(NUM_OPS, size=(candidates, NUM_EDGES)), origin)
        return Architecture(tuple(drawn[np.argmax(promise(good, bad, drawn))].tolist()))

    def _good(self) -> int:
        return max(self.min_points, self.top_percent * len(self._ops) // 100)

    def _density(self, ops: Any) -> Any:
        from statsmodels.nonparametric.kernel_density import KDEMultivariate

        # It draws nothing here; a generator of its own keeps it from asking for the global one.
        density = KDEMultivariate(ops, "u" * NUM_EDGES, bw="normal_reference", rng=np.random.default_rng(0))
        density.bw = np.maximum(density.bw, self.min_bandwidth)
        return density


def promise(good: Any, bad: Any, ops: Any) -> FloatArray:
    """The density of the good over that of the others; float64 [candidates].

    Where all architectures behind a density agree on an edge, its kernel divides by zero for any
    other operation, and the density is infinite. As in hpbandster, a candidate that is infinitely
    dense among one of the two is taken: it tries what that group never had.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted, unwanted = np.maximum(good.pdf(ops), _TINY), np.maximum(bad.pdf(ops), _TINY)
        ratio = np.where(np.isinf(unwanted), unwanted, wanted) / np.where(np.isinf(unwanted), 1, unwanted)
    return np.asarray(np.where(np.isinf(wanted) & np.isinf(unwanted), 0.0, ratio))
