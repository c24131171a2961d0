"""The native vector environment as a stable-baselines3 `VecEnv`.

stable-baselines3 does not take Gymnasium's vector environments. This adapter does in a few array
operations what `DummyVecEnv` does in a loop over environments, with the same bits; use it where
many environments step at once::

    from nb201env.agents.rl.vec_env import NB201VecEnv
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", NB201VecEnv("NB201-cifar10-v0", num_envs=256))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn

from nb201env.envs.infos import INFO_KEYS
from nb201env.envs.vector import NB201VectorEnv


class NB201VecEnv(VecEnv):
    """Many copies of one environment for stable-baselines3.

    Args:
        env_id: A registered id.
        num_envs: How many copies.
        **kwargs: The environment's keyword arguments.

    Raises:
        ValueError: If the id is none of this package's, or its copies do not restart as
            stable-baselines3 wants them to.
    """

    def __init__(self, env_id: str, num_envs: int, **kwargs: Any) -> None:
        env = gym.make_vec(env_id, num_envs=num_envs, **kwargs)
        if not isinstance(env.unwrapped, NB201VectorEnv):
            raise ValueError(
                f"NB201VecEnv is for this package's environments; {env_id!r} is none: use "
                "stable_baselines3.common.env_util.make_vec_env"
            )
        self.native = env.unwrapped
        if self.native.autoreset_mode != AutoresetMode.SAME_STEP:
            raise ValueError("stable-baselines3 wants autoreset_mode='SameStep', the default: leave it out")
        super().__init__(num_envs, env.single_observation_space, env.single_action_space)
        self._actions: Any = None

    def reset(self) -> Any:
        """Reset all copies, with the seeds given to `seed` since the last reset."""
        seeds = list(self._seeds) if any(seed is not None for seed in self._seeds) else None
        observations, infos = self.native.reset(seed=seeds)
        self._reset_seeds()
        self.reset_infos = _rows(infos, self.native.options.costs)
        for row in self.reset_infos:
            del row["TimeLimit.truncated"]
        return observations

    def step_async(self, actions: Any) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all copies; those that end restart, and hand over their last observation in info."""
        observations, rewards, terminated, truncated, infos = self.native.step(self._actions)
        done = terminated | truncated
        rows = _rows(infos, self.native.options.costs)
        if done.any():
            final, cut = _rows(infos["final_info"], self.native.options.costs), truncated & ~terminated
            for i in np.flatnonzero(done).tolist():
                self.reset_infos[i], rows[i] = rows[i], final[i]
                del self.reset_infos[i]["TimeLimit.truncated"]
                rows[i]["TimeLimit.truncated"] = bool(cut[i])
                rows[i]["terminal_observation"] = infos["final_obs"][i]
        return observations, rewards.astype(np.float32), done, rows

    def close(self) -> None:
        """Close the environment."""
        self.native.close()

    def action_masks(self) -> Any:
        """Which actions change each cell; bool [num_envs, actions]."""
        return self.native.action_masks()

    def get_images(self) -> Sequence[Any]:
        """Every copy's cell, uint8 [height, width, 3]; None without ``render_mode="rgb_array"``."""
        frames = self.native.render() if self.native.render_mode == "rgb_array" else None
        return frames or [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute, which all copies share."""
        return [getattr(self.native, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refused: the copies have no attributes of their own."""
        raise AttributeError(f"cannot set {attr_name!r}: the copies share one native environment")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """The result of a method for each copy; only "action_masks" has one."""
        if method_name != "action_masks":
            raise AttributeError(f"the native environment has no method {method_name!r} per copy")
        masks = self.native.action_masks()
        return [masks[i] for i in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """No copy is wrapped."""
        return [False] * len(list(self._get_indices(indices)))


def _rows(infos: dict[str, Any], costs: Sequence[str]) -> list[dict[str, Any]]:
    """Gymnasium's dict of arrays as one dict of plain values per environment.

    The keys are written out because this runs for every step of every copy, and a dict display is
    several times faster than ``dict(zip(keys, values))``; tests hold it to DummyVecEnv's dicts.
    """
    columns = (infos[key].tolist() for key in INFO_KEYS)
    rows: list[dict[str, Any]] = [
        {
            "architecture": architecture,
            "run": run,
            "accuracy": accuracy,
            "seconds": seconds,
            "clock": clock,
            "queries": queries,
            "search_over": over,
            "TimeLimit.truncated": False,
        }
        for architecture, run, accuracy, seconds, clock, queries, over in zip(*columns, strict=True)
    ]
    for name in costs:
        for row, cost in zip(rows, infos[name].tolist(), strict=True):
            row[name] = cost
            row["TimeLimit.truncated"] = row.pop("TimeLimit.truncated")  # the last, as in DummyVecEnv
    return rows
