"""Environments with several objectives: their rewards are vectors, as MO-Gymnasium has them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nb201env.arrays import FloatArray
from nb201env.envs.answers import answers
from nb201env.envs.options import EnvOptions, Options
from nb201env.envs.single import NB201Env, Observation
from nb201env.envs.vector import NB201VectorEnv
from nb201env.fields import finite_number
from nb201env.fronts.front import Points, true_front
from nb201env.fronts.objectives import ACCURACY, DEFAULT, Known, known_objectives, read_objectives
from nb201env.space import NUM_EDGES
from nb201env.table import Run, Table

VectorResult = tuple[Observation, FloatArray, bool, bool, dict[str, Any]]


def _with_objectives(arguments: Mapping[str, Any]) -> Options:
    objectives = read_objectives(arguments.get("objectives", DEFAULT))
    return Options.of({**arguments, "objectives": objectives})


class _Several:
    """What the single and the vector form know of their objectives.

    Attributes:
        objectives: Each objective's direction, scale and unit on this table.
        reward_space: The bounds of one reward; Box, float64 [m].
        reward_dim: How many objectives, m.
    """

    table: Table
    options: Options
    objectives: tuple[Known, ...]
    reward_space: spaces.Box
    reward_dim: int

    _read = staticmethod(_with_objectives)

    def _know(self) -> None:
        self.objectives = known_objectives(self.table, self.options.objectives)
        self.reward_dim = len(self.objectives)
        reward = answers(self.table, self.options).reward.reshape(-1, self.reward_dim)
        low, high = np.nanmin(reward, axis=0), np.nanmax(reward, axis=0)
        for place, one in enumerate(self.objectives):
            if one.name == ACCURACY:  # shorter trainings may be worse than all that are recorded here
                low[place], high[place] = min(one.factor, 0), max(one.factor, 0)
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
        if self.options.actions == "edit":
            low, high = low - high, high - low
        self.reward_space = spaces.Box(low, high, dtype=np.float64)

    def true_front(self) -> Points:
        """The Pareto front of all cells of the table, with the architectures whose points it is made of.

        By the run that answers if that is a certain one, else by means over runs, which are what rewards are
        on average.

        Raises:
            NotRecorded: If the table lacks that run.
        """
        run: Run = self.options.run if isinstance(self.options.run, int) else "mean"
        return true_front(self.table, self.options.objectives, run=run, epochs=self.options.epochs)

    def pareto_front(self, gamma: float) -> list[npt.NDArray[np.float64]]:
        """The best returns that policies can have: the true front, discounted; MO-Gymnasium's interface.

        With actions="build" the reward comes with the sixth step, so it counts gamma^5; with "pick" it comes
        with the first.

        Args:
            gamma: The discount factor, from 0 to 1.

        Returns:
            One reward, float64 [m], for each point, the best of the first objective first.

        Raises:
            ValueError: With actions="edit", where a return is a gain over a cell that was drawn; `true_front`
                has the cells themselves.
        """
        gamma = finite_number("gamma", gamma)
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma must be in 0..1; got {gamma:g}")
        if self.options.actions == "edit":
            raise ValueError(
                "with actions='edit' a return is the gain over the cell that an episode starts from, so no "
                "one front is true of all; true_front() has the cells"
            )
        steps = NUM_EDGES if self.options.actions == "build" else 1
        return [*(gamma ** (steps - 1) * self.true_front().rewards)]


class NB201MOEnv(_Several, NB201Env):
    """`NB201Env` with several objectives: a reward is a vector, float64 [m], one number per objective.

    Everything else is as there: actions, observations, clock, budget, draws and `info`, which also shows the
    costs among the objectives under their names. More of every reward is better:

    | objective | reward |
    | --- | --- |
    | `"accuracy"` | the validation accuracy of the run that answers, a fraction |
    | `"params"`, `"macs"`, `"latency_seconds"` or another cost | minus the cost times a scale |
    | `{"name": "synflow", "direction": "max", "scale": 1e-3}` | the column's value times the scale |

    The scale of a cost is 1 / the largest one of the table unless it is given, so its rewards are in [-1, 0].

    `objectives` of the environment says each one's direction, scale and unit. As in MO-Gymnasium there are
    `reward_space` and ``pareto_front(gamma)``, the true front, computed from the table.
    With actions="edit" a reward is the gain over the cell before, in every objective.

    `reward` and `limit` are refused: the objectives say what is rewarded. Gymnasium's own environment checker
    is off, since it knows single rewards only.

    Args:
        table, render_mode, dataset: As of `NB201Env`.
        objectives: Two to eight: names, "name:min" or "name:max", or dictionaries; see
            `nb201env.fronts.objectives.Objective`. ["accuracy", "params"] unless given.
        **options: As of `NB201Env`.

    Raises:
        ValueError, TypeError: If an argument is wrong; the message names the mend.
        NotRecorded: If the table lacks an objective, or does not know it of every architecture.
    """

    _shared = NB201Env._shared | {"objectives"}

    def __init__(
        self,
        table: str | os.PathLike[str] | Table | None = "cifar10-valid-200",
        render_mode: str | None = None,
        dataset: str | None = None,
        **options: Unpack[EnvOptions],
    ) -> None:
        super().__init__(table, render_mode, dataset, **options)
        self._know()

    def step(self, action: Any) -> VectorResult:
        """Take one action; see the class."""
        reward: Any
        observation, reward, terminated, truncated, info = super().step(action)
        vector = np.zeros(self.reward_dim)
        vector += reward  # a copy, for wrappers write into it
        return observation, vector, terminated, truncated, info


class NB201MOVectorEnv(_Several, NB201VectorEnv):
    """`num_envs` copies of `NB201MOEnv` that step together; rewards are float64 [num_envs, m].

    With seed s it does, bit for bit, what `num_envs` single ones with the seeds s, s + 1, … do. Arguments,
    autoreset and `info` are as of `nb201env.envs.vector.NB201VectorEnv`, objectives as of `NB201MOEnv`;
    `reward_space` is that of one copy, as in MO-Gymnasium's own vector environments.
    """

    _shared = NB201VectorEnv._shared | {"objectives"}

    def __init__(self, num_envs: int = 1, *arguments: Any, **options: Any) -> None:
        super().__init__(num_envs, *arguments, **options)
        self._know()

    def _no_reward(self) -> FloatArray:
        return np.zeros((self.num_envs, len(self.options.objectives)))


def vectorized(env: NB201Env, num_envs: int) -> NB201VectorEnv:
    """The native vector environment of an environment's table and options; its copies share one search."""
    kind = NB201MOVectorEnv if env.options.objectives else NB201VectorEnv
    return kind(num_envs, env.table, share_search=True, **asdict(env.options))
