"""Run by `make test-install` where only the core is installed: everything essential works."""

import importlib.util

import gymnasium as gym
import numpy as np

import nb201env
from nb201env.agents import make_agent
from nb201env.extras import MissingExtra

for absent in ("torch", "stable_baselines3", "xgboost", "sklearn", "matplotlib", "pandas"):
    assert importlib.util.find_spec(absent) is None, f"{absent} is installed: this is not the core alone"
assert "site-packages" in nb201env.__file__, "the package was not installed"

env = gym.make("NB201-cifar10-v0", run="mean")
env.reset(seed=0)
for action in (3, 3, 3, 1, 3, 2):
    *_, reward, terminated, _, info = env.step(action)
assert terminated
assert reward == env.unwrapped.table.optimum(split="valid", epochs=200)[1]

envs = gym.make_vec("NB201-cifar100-v0", num_envs=8, actions="pick")
envs.reset(seed=0)
assert envs.step(envs.action_space.sample())[2].all()

make_agent("random_search").search(gym.make("NB201-cifar10-v0", budget_queries=10), 0)
try:
    make_agent("ppo").search(gym.make("NB201-cifar10-v0", budget_queries=10), 0)
except MissingExtra as error:
    assert "pip install 'nb201env[agents]'" in str(error)
else:
    raise AssertionError("PPO ran without stable-baselines3")
np.testing.assert_array_equal(nb201env.Architecture.from_index(7).ops, [0, 0, 0, 0, 1, 2])
print("the core alone works")
