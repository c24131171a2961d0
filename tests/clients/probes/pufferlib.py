"""PufferLib: its emulation of an environment, one and many of them, and its policy on what they give."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pufferlib.vector
import torch
from pufferlib.emulation import GymnasiumPufferEnv
from pufferlib.models import Default
from pufferlib.pytorch import sample_logits

from tests.clients.probes import row, run
from tests.clients.recorded import is_run, ops_of

# Installed with --no-deps: it pins torch==2.9.0 with CUDA, for the training, which is not tried here.
OPS, ONE_HOT = "nb201env:NB201-cifar10-v0", "nb201env:NB201-cifar10-onehot-v0"


def emulated(env_id: str, buf: Any = None, seed: int = 0) -> GymnasiumPufferEnv:
    return GymnasiumPufferEnv(env_creator=partial(gym.make, env_id), buf=buf, seed=seed)


@row("GymnasiumPufferEnv of gym.make(one-hot id)")
def one() -> None:
    env = emulated(ONE_HOT)
    assert env.single_observation_space.shape == (36,)
    observations, _ = env.reset(seed=0)
    for action in (3, 3, 3, 1, 3, 2):
        assert not env.done
        observations, reward, terminated, truncated, info = env.step(np.array([action]))
    assert observations.dtype == np.float32
    assert observations.shape == (1, 36)
    assert (ops_of(observations) == [[3, 3, 3, 1, 3, 2]]).all()
    assert (terminated, truncated, env.done) == (True, False, True)
    assert reward == info["accuracy"]
    is_run(ops_of(observations), [reward])


@row("vector.make of the one-hot id: Serial, Multiprocessing")
def many() -> None:
    for backend, how in (("Serial", {}), ("Multiprocessing", {"num_workers": 2})):
        envs = pufferlib.vector.make(emulated, env_args=[ONE_HOT], num_envs=4, backend=backend, **how)
        try:
            plays(envs)
        finally:
            envs.close()


def plays(envs: Any) -> None:
    """Play episodes by PufferLib's own policy; the rewards are the table's."""
    torch.manual_seed(0)
    policy = Default(envs.driver_env, hidden_size=32)
    observations, _ = envs.reset(seed=0)
    episodes = 0
    for _ in range(20):
        with torch.no_grad():
            logits, _ = policy(torch.as_tensor(observations))
        actions = sample_logits(logits)[0].numpy()
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        assert observations.shape == (4, 36)
        assert not truncated.any()
        assert not rewards[~terminated].any()
        if terminated.any():
            is_run(ops_of(observations[terminated]), rewards[terminated])
            episodes += int(terminated.sum())
    assert episodes == 12  # each has six steps, and a seventh is the reset


@row(
    "GymnasiumPufferEnv of gym.make(id)",
    lacks="a MultiDiscrete of its own is no observation to it, only one in a Dict",
)
def ops() -> None:
    emulated(OPS)


@row("GymnasiumPufferEnv of gym.make(id) in a Dict", adds="TransformObservation to a Dict")
def ops_in_dict() -> None:
    plain = gym.make(OPS)
    space = gym.spaces.Dict({"ops": plain.observation_space})
    env = GymnasiumPufferEnv(gym.wrappers.TransformObservation(plain, lambda ops: {"ops": ops}, space))
    env.reset(seed=0)
    for action in (3, 3, 3, 1, 3, 2):
        reward = env.step(action)[1]
    is_run([3, 3, 3, 1, 3, 2], [reward])


if __name__ == "__main__":
    run()
