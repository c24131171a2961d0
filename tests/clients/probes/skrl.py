"""skrl: environments wrapped as they come, and its runner's PPO and DQN."""

from __future__ import annotations

import tempfile
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from skrl.envs.wrappers.torch import Wrapper, wrap_env
from skrl.utils import set_seed
from skrl.utils.runner.torch import Runner

from tests.clients.probes import row, run
from tests.clients.recorded import is_run, ops_of

OPS, ONE_HOT = "nb201env:NB201-cifar10-v0", "nb201env:NB201-cifar10-onehot-v0"
PPO = {"class": "PPO", "rollouts": 18, "learning_epochs": 8, "mini_batches": 2, "learning_rate": 1e-2}


def played(env: Wrapper, width: int) -> None:
    """Play an episode of random actions in a wrapped environment; the rewards are the table's."""
    n = env.num_envs
    actions = torch.as_tensor(np.random.default_rng(0).integers(5, size=(6, n, 1)))
    observations, _ = env.reset()
    for action in actions:
        assert observations.shape == (n, width)
        observations, rewards, terminated, truncated, infos = env.step(action)
        for one in (rewards, terminated, truncated):
            assert one.shape == (n, 1)
    assert rewards.dtype == torch.float32
    assert terminated.all()
    assert not truncated.any()
    is_run(actions[..., 0].T, rewards)
    if "final_obs" in infos:  # the native environment begins again within the step
        final = infos["final_obs"]
        assert ((final if width == 6 else ops_of(final)) == actions[..., 0].T.numpy()).all()


@row("wrap_env of gym.make and gym.make_vec, native, sync and async")
def wrapped() -> None:
    for env_id, width in ((OPS, 6), (ONE_HOT, 36)):
        played(wrap_env(gym.make(env_id), verbose=False), width)
        for how in (None, "sync", "async"):
            env = wrap_env(gym.make_vec(env_id, num_envs=3, vectorization_mode=how), verbose=False)
            played(env, width)
            env.close()


@row("Runner on gym.make(one-hot id): PPO")
def ppo() -> None:
    env = Watched(gym.make(ONE_HOT))
    trained(env, PPO, {"policy": policy(), "value": value()}, 2)
    assert len(env.rewards) == 6
    is_run(env.cells, env.rewards)


@row("Runner on gym.make(one-hot id): DDQN")
def ddqn() -> None:
    env = Watched(gym.make(ONE_HOT))
    agent = {"class": "DDQN", "learning_starts": 36, "batch_size": 32}
    trained(env, agent, {"q_network": value("ACTIONS"), "target_q_network": value("ACTIONS")}, 4)
    assert len(env.rewards) == 12
    is_run(env.cells, env.rewards)


@row("Runner on gym.make_vec(one-hot id): PPO", adds='trainer: {"headless": True}')
def ppo_on_native() -> None:
    env = WatchedCopies(gym.make_vec(ONE_HOT, num_envs=8))
    trained(env, PPO, {"policy": policy(), "value": value()}, 10, headless=True)
    assert len(env.rewards) == 30
    is_run(env.cells, env.rewards)
    assert np.mean(env.rewards[-3:]) > np.mean(env.rewards[:3])


@row("Runner on gym.make(id): PPO", lacks="its networks take observations of numbers with a fraction only")
def ppo_of_ops() -> None:
    trained(gym.make(OPS), PPO, {"policy": policy(), "value": value()}, 1)


def policy() -> dict[str, Any]:
    return {"class": "CategoricalMixin", "network": network(), "output": "ACTIONS"}


def value(output: str = "ONE") -> dict[str, Any]:
    return {"class": "DeterministicMixin", "network": network(), "output": output}


def network() -> list[dict[str, Any]]:
    return [{"name": "net", "input": "OBSERVATIONS", "layers": [32], "activations": "tanh"}]


def trained(env: Any, agent: Any, models: dict[str, Any], rounds: int, **trainer: Any) -> None:
    """Train for so many rounds of 18 steps; raise unless that changes the networks."""
    set_seed(0)
    memory = {"class": "RandomMemory", "memory_size": 18 if agent is PPO else 400}
    how = {"class": "SequentialTrainer", "timesteps": 18 * rounds, "disable_progressbar": True}
    with tempfile.TemporaryDirectory() as folder:
        experiment = {"directory": folder, "write_interval": 0, "checkpoint_interval": 0}
        settings = {
            "seed": 0,
            "models": {"separate": True} | models,
            "memory": memory,
            "agent": agent | {"experiment": experiment},
            "trainer": how | {"close_environment_at_exit": False} | trainer,
        }
        runner = Runner(wrap_env(env, verbose=False), settings)
        networks = runner.agent.models.values()
        before = [one.detach().clone() for model in networks for one in model.parameters()]
        runner.run("train")
    after = [one for model in networks for one in model.parameters()]
    assert any((old != new).any() for old, new in zip(before, after, strict=True))


class Watched(gym.Wrapper[Any, Any, Any, Any]):
    """Keeps the cells that were finished, and their rewards."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.cells: list[Any] = []
        self.rewards: list[Any] = []

    def step(self, action: Any) -> Any:
        result = self.env.step(action)
        if result[2]:
            self.cells.append(ops_of(result[0]))
            self.rewards.append(result[1])
        return result


class WatchedCopies(gym.vector.VectorWrapper):
    """The same for many at once."""

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.cells: list[Any] = []
        self.rewards: list[Any] = []

    def step(self, actions: Any) -> Any:
        result = self.env.step(actions)
        if result[2].any():
            assert result[2].all()
            self.cells.append(ops_of(result[4]["final_obs"]))
            self.rewards.append(result[1])
        return result


if __name__ == "__main__":
    run()
