"""Reinforcement learning through stable-baselines3: PPO, A2C, DQN and MaskablePPO.

The library's own implementations, with settings for episodes of six steps and a reward at the
end. An episode is one query, so a search of q queries is 6 q steps.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

import numpy as np

from nb201env.agents.contract import Env
from nb201env.agents.rl.logbook import check_folder, search_values
from nb201env.extras import require
from nb201env.wrappers import ShapedReward

NEVER = 2**62
"""More time steps than any search takes: the budget ends it, not a step count."""


@dataclass(frozen=True)
class OnPolicy:
    """What PPO, MaskablePPO and A2C share.

    Attributes:
        learning_rate: Adam's (PPO) or RMSprop's (A2C) step size.
        n_steps: Steps between updates; a multiple of 6 keeps episodes whole.
        gamma: Discount; 1, because only the finished cell is rewarded.
        gae_lambda: Generalised advantage estimation.
        ent_coef: Weight of the entropy bonus: how long the policy keeps exploring.
        net_arch: Widths of the hidden layers of policy and value network.
        sharpness, novelty: Of the reward it learns from; see `nb201env.wrappers`.
        tensorboard: Folder for TensorBoard's event files; None writes none.
    """

    learning_rate: float = 3e-3
    n_steps: int = 48
    gamma: float = 1.0
    gae_lambda: float = 1.0
    ent_coef: float = 0.01
    net_arch: tuple[int, ...] = (64,)
    sharpness: float = 50.0
    novelty: float = 0.2
    tensorboard: str | None = None

    algorithm = ""

    def __post_init__(self) -> None:
        _library(self.algorithm)
        check_folder(self.tensorboard)

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        learn(self.algorithm, env, seed, asdict(self))


@dataclass(frozen=True)
class PPO(OnPolicy):
    """Proximal policy optimisation (Schulman et al., 2017).

    Attributes:
        batch_size: Steps per gradient step.
        n_epochs: Passes over the data of each update.
        clip_range: How far the policy's ratio may move.
    """

    batch_size: int = 48
    n_epochs: int = 4
    clip_range: float = 0.2

    algorithm = "PPO"


@dataclass(frozen=True)
class MaskablePPO(PPO):
    """PPO that never takes an action which changes nothing (of use with actions="edit")."""

    algorithm = "MaskablePPO"


@dataclass(frozen=True)
class A2C(OnPolicy):
    """Advantage actor-critic (Mnih et al., 2016), synchronous."""

    learning_rate: float = 1e-3
    n_steps: int = 48

    algorithm = "A2C"


@dataclass(frozen=True)
class DQN:
    """Deep Q-learning (Mnih et al., 2015).

    Attributes:
        learning_rate: Adam's step size.
        buffer_size: Steps remembered.
        learning_starts: Random steps before the first update.
        batch_size: Steps per gradient step.
        train_freq: Steps between gradient steps.
        gamma: Discount.
        target_update_interval: Steps between copies into the target network.
        exploration_steps: Over how many steps the share of random actions falls to its end.
        exploration_final_eps: That end.
        net_arch: Widths of the hidden layers.
        sharpness, novelty: Of the reward it learns from; see `nb201env.wrappers`.
        tensorboard: Folder for TensorBoard's event files; None writes none.
    """

    learning_rate: float = 1e-3
    buffer_size: int = 20_000
    learning_starts: int = 300
    batch_size: int = 64
    train_freq: int = 6
    gamma: float = 1.0
    target_update_interval: int = 600
    exploration_steps: int = 6_000
    exploration_final_eps: float = 0.05
    net_arch: tuple[int, ...] = (64, 64)
    sharpness: float = 50.0
    novelty: float = 0.2
    tensorboard: str | None = None

    def __post_init__(self) -> None:
        _library("DQN")
        check_folder(self.tensorboard)

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        settings = asdict(self)
        # The library wants a share of a run whose length we do not know: see NEVER.
        settings["exploration_fraction"] = settings.pop("exploration_steps") / NEVER
        learn("DQN", env, seed, settings)


def _library(algorithm: str) -> ModuleType:
    return require("sb3_contrib" if algorithm == "MaskablePPO" else "stable_baselines3", "agents")


def learn(algorithm: str, env: Env, seed: int, settings: dict[str, Any]) -> None:
    """Train one of the library's algorithms on an environment until its search is over.

    Args:
        algorithm: "PPO", "A2C", "DQN" or "MaskablePPO".
        env: An environment with a budget.
        seed: For the policy's initial weights and its actions.
        settings: Keyword arguments of the algorithm, and net_arch, sharpness, novelty, tensorboard.

    Raises:
        MissingExtra: If stable-baselines3 is not installed, or TensorBoard though it is asked for.
    """
    library = _library(algorithm)
    settings = dict(settings)
    policy = {"net_arch": list(settings.pop("net_arch"))}
    shaped = ShapedReward(env, settings.pop("sharpness"), settings.pop("novelty"))
    log = logger(settings.pop("tensorboard"), seed)
    with quiet_surroundings():
        model = getattr(library, algorithm)(
            "MlpPolicy", shaped, seed=seed, device="cpu", policy_kwargs=policy, **settings
        )
        model.set_logger(log)

        def watch(local: dict[str, Any], _: Any) -> bool:
            info = local["infos"][0]
            if info["architecture"]:
                for key, value in search_values(shaped.shaping, info["queries"], info["clock"]).items():
                    log.record(key, value)
            return not info["search_over"]

        model.learn(NEVER, callback=watch, log_interval=1)
    log.close()


def logger(folder: str | None, seed: int) -> Any:
    """The library's logger: silent, or for TensorBoard in a sub-folder named after the agent's seed."""
    library = require("stable_baselines3.common.logger", "agents")
    if folder is None:
        # Without one of our own the library makes a folder in the temporary directory per search.
        return library.Logger(folder=None, output_formats=[])
    require("tensorboard", "tensorboard")
    return library.Logger(folder, [library.TensorBoardOutputFormat(f"{folder}/{seed}")])


@contextmanager
def quiet_surroundings() -> Iterator[None]:
    """One thread, and afterwards the global random states that were there before.

    The library seeds and draws from all global generators.
    """
    torch = require("torch", "agents")
    from nb201env.training.threads import one_thread

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        with one_thread():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
