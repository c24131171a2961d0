"""TPE, the tree-structured Parzen estimator (Bergstra et al., 2011), through Optuna."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nb201env.agents.contract import Env, Proposals, follow, never_asked
from nb201env.architecture import Architecture
from nb201env.extras import check, require
from nb201env.space import EDGES, NUM_OPS


@dataclass(frozen=True)
class TPE:
    """Optuna's sampler with one categorical parameter per edge, by ask and tell, in memory.

    Attributes:
        startup: Random architectures before the estimator takes over; Optuna's default.
        candidates: How many it weighs for each query; Optuna's default.
        multivariate: Whether it models the edges jointly; Optuna's default.
        ask_again: Whether an architecture met a second time is asked a second time; otherwise its
            first answer counts and the sampler is asked for another one.
        patience: How many known architectures in a row it may propose before a random new one is
            asked instead.
    """

    startup: int = 10
    candidates: int = 24
    multivariate: bool = True
    ask_again: bool = False
    patience: int = 10

    def __post_init__(self) -> None:
        if min(self.startup, self.candidates, self.patience) < 1:
            raise ValueError("startup, candidates and patience must be at least 1")
        check("optuna", "agents")

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        follow(env, self.proposals(np.random.default_rng(seed)))

    def proposals(self, rng: np.random.Generator) -> Proposals:
        """The search itself."""
        study = self._study(int(rng.integers(2**32)))
        known: dict[int, float] = {}
        repeats = 0
        while True:
            if repeats == self.patience:
                fresh = Architecture.from_index(never_asked(known, rng))
                study.enqueue_trial(dict(zip(_EDGES, fresh, strict=True)))
            trial = study.ask()
            architecture = Architecture(
                tuple(trial.suggest_categorical(name, range(NUM_OPS)) for name in _EDGES)
            )
            index = architecture.index
            repeats = repeats + 1 if index in known and not self.ask_again else 0
            if not repeats:
                known[index] = yield architecture
            study.tell(trial, known[index])

    def _study(self, seed: int) -> Any:
        optuna = require("optuna", "agents")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=self.startup, n_ei_candidates=self.candidates,
            multivariate=self.multivariate,
        )  # fmt: skip
        return optuna.create_study(direction="maximize", sampler=sampler)


_EDGES = tuple(f"{source}->{target}" for source, target in EDGES)
