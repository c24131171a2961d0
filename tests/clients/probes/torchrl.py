"""TorchRL: its own environment by id, its vectorised ones, a collector, losses, pixels, masks."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import (
    ActionMask,
    EnvBase,
    GymEnv,
    GymWrapper,
    ParallelEnv,
    SerialEnv,
    TransformedEnv,
    check_env_specs,
    default_info_dict_reader,
)
from torchrl.modules import OneHotCategorical, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import nb201env
from tests.clients.probes import row, run
from tests.clients.recorded import is_gain, is_run, ops_of

OPS, ONE_HOT = "nb201env:NB201-cifar10-v0", "nb201env:NB201-cifar10-onehot-v0"


@row("GymEnv(id), check_env_specs; actions build, pick, edit")
def gym_env() -> None:
    for env_id, shape in ((OPS, (6, 6)), (ONE_HOT, (36,))):
        for actions, steps in (("build", 6), ("pick", 1), ("edit", 20)):
            env = GymEnv(env_id, actions=actions, run="mean")
            check_env_specs(env)
            env.set_seed(0)
            seen = env.rollout(50)
            assert seen.batch_size == (steps,)
            assert seen["next", "observation"].shape == (steps, *shape)
            assert seen["next", "done"].sum() == 1
            assert bool(seen["next", "truncated"][-1]) == (actions == "edit")
            after, rewards = ops_of(seen["next", "observation"]), seen["next", "reward"]
            if actions == "edit":
                is_gain(ops_of(seen["observation"]), after, rewards)
            else:
                is_run_mean(after[-1], rewards[-1])
                assert not rewards[:-1].any()


def is_run_mean(ops: Any, reward: Any) -> None:
    mean = nb201env.open_table("cifar10-valid-200").query(tuple(ops), split="valid", epochs=200, run="mean")
    assert abs(float(reward) - mean.accuracy) < 1e-6


@row("GymEnv(id, from_pixels=True)")
def pixels() -> None:
    env = GymEnv(OPS, from_pixels=True, pixels_only=False)
    check_env_specs(env)
    shown = env.rollout(6)["next", "pixels"]
    assert shown.dtype == torch.uint8
    assert shown.shape[0] == 6
    assert shown.shape[-1] == 3
    drawn = gym.make(OPS, render_mode="rgb_array")
    drawn.reset()
    picture: Any = drawn.render()
    assert shown.shape[1:] == picture.shape
    assert (shown[0] != shown[-1]).any()


@row("SerialEnv, ParallelEnv")
def batched() -> None:
    for kind in (SerialEnv, ParallelEnv):
        env = kind(2, partial(GymEnv, ONE_HOT))
        try:
            check_env_specs(env)
            finished(env.rollout(18, break_when_any_done=False), 6)
        finally:
            env.close()


def finished(seen: TensorDict, episodes: int) -> None:
    """Raise unless so many episodes were finished, each with a reward of the table's."""
    done = seen["next", "done"].squeeze(-1)
    assert done.sum() == episodes
    rewards = seen["next", "reward"].squeeze(-1)
    assert not rewards[~done].any()
    last = seen["next", "observation"][done]
    is_run(last if last.shape[-1] == 6 and last.ndim == 2 else ops_of(last), rewards[done])


@row("Collector, GAE and ClipPPOLoss")
def ppo() -> None:
    torch.manual_seed(0)
    env = SerialEnv(4, partial(GymEnv, ONE_HOT))
    env.set_seed(0)
    logits = TensorDictModule(
        nn.Sequential(nn.Linear(36, 32), nn.Tanh(), nn.Linear(32, 5)),
        in_keys=["observation"],
        out_keys=["logits"],
    )
    draw = ProbabilisticTensorDictModule(
        in_keys=["logits"], out_keys=["action"], distribution_class=OneHotCategorical, return_log_prob=True
    )
    actor = ProbabilisticTensorDictSequential(logits, draw)
    critic = ValueOperator(
        nn.Sequential(nn.Linear(36, 32), nn.Tanh(), nn.Linear(32, 1)), in_keys=["observation"]
    )
    loss, advantage = ClipPPOLoss(actor, critic), GAE(gamma=1.0, lmbda=0.95, value_network=critic)
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-2)
    before = [one.detach().clone() for one in loss.parameters()]
    found = []
    for batch in Collector(
        env, actor, frames_per_batch=240, total_frames=1440, auto_register_policy_transforms=False
    ):
        finished(batch, 40)
        found.append(batch["next", "reward"].sum() / 40)
        advantage(batch)
        for _ in range(8):
            parts = loss(batch.reshape(-1))
            optimizer.zero_grad()
            total = parts["loss_objective"] + parts["loss_critic"] + parts["loss_entropy"]
            total.backward()
            optimizer.step()
    assert any((old != new).any() for old, new in zip(before, loss.parameters(), strict=True))
    assert len(found) == 6
    assert found[-1] > found[0]


@row("GymWrapper(gym.make_vec(id))", adds='autoreset_mode="Disabled"')
def native_vector() -> None:
    for env_id in (OPS, ONE_HOT):
        env = GymWrapper(gym.make_vec(env_id, num_envs=3, autoreset_mode="Disabled"))
        check_env_specs(env)
        finished(env.rollout(18, break_when_any_done=False), 9)


@row("GymEnv(id, num_envs=3)", lacks="it reads the infos of finished episodes, and only numbers among them")
def num_envs() -> None:
    env = GymEnv(OPS, num_envs=3)
    check_env_specs(env)
    finished(env.rollout(18, break_when_any_done=False), 9)


@row("default_info_dict_reader", lacks="reads NumPy's numbers only, not Python's, nor texts")
def default_infos() -> None:
    env = GymEnv(OPS).set_info_dict_reader(default_info_dict_reader(["accuracy"]))
    env.rollout(6)


@row("set_info_dict_reader", adds="a reader of one line")
def infos() -> None:
    def read(info: dict[str, Any], seen: TensorDict) -> TensorDict:
        return seen.set("accuracy", torch.tensor([info["accuracy"]]))

    seen = GymEnv(OPS).set_info_dict_reader(read).rollout(6)["next"]
    assert (seen["accuracy"][:-1] == -1).all()
    assert seen["accuracy"][-1] == seen["reward"][-1]
    is_run(ops_of(seen["observation"][-1]), seen["accuracy"][-1])


@row("ActionMask", adds="a wrapper that observes the masks too")
def masks() -> None:
    env: EnvBase = GymWrapper(Masked(gym.make(ONE_HOT, actions="edit", run="mean")))
    env = TransformedEnv(env, ActionMask())
    check_env_specs(env)
    env.set_seed(0)
    seen = env.rollout(20)
    chosen = seen["action"].bool()
    assert chosen.shape == (20, 30)
    assert seen["action_mask"][chosen].all()
    before, after = ops_of(seen["observation"]), ops_of(seen["next", "observation"])
    assert ((before != after).sum(-1) == 1).all(), "a masked edit changes one edge"
    is_gain(before, after, seen["next", "reward"])


class Masked(gym.ObservationWrapper[dict[str, Any], Any, Any]):
    """Observations with the mask beside them, as TorchRL's `ActionMask` wants it."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        assert isinstance(env.action_space, spaces.Discrete)
        mask = spaces.Box(0, 1, (int(env.action_space.n),), dtype=np.dtype(np.bool_))  # type: ignore[arg-type]
        self.observation_space = spaces.Dict({"observation": env.observation_space, "action_mask": mask})

    def observation(self, observation: Any) -> dict[str, Any]:
        return {"observation": observation, "action_mask": self.env.get_wrapper_attr("action_masks")()}


if __name__ == "__main__":
    run()
