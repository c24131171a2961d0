r"""Pareto Q-learning of morl-baselines on our CIFAR-10 table, its front held against the true one.

Run on 29 November 2026 with morl-baselines 1.3.0, mo-gymnasium 1.3.2, wandb 0.31.0, Python 3.11, in an
environment with this package and its extras `multi` and `agents`:

    pip install --no-deps morl-baselines
    pip install wandb
    python examples/pareto_q_learning.py

What morl-baselines requires besides (pycddlib 2.1.6, built from source, and others) it does not import.
It takes a minute. It printed:

    11 of the 13 points on the front of run 777

One run answers always, for the agent keeps averages; and its front of the first state is asked for there: by
itself it looks at state 0, where MO-Gymnasium's own environments begin.
"""

from __future__ import annotations

import mo_gymnasium
import numpy as np
from morl_baselines.multi_policy.pareto_q_learning.pql import PQL

import nb201env  # noqa: F401  (registers the ids)

STEPS = 200_000

env = mo_gymnasium.make("NB201-cifar10-mo-v0", run=777)
front = {tuple(np.round(point, 9)) for point in env.unwrapped.pareto_front(gamma=1.0)}
agent = PQL(
    env, np.array([0.0, -1.0]), gamma=1.0, initial_epsilon=1.0, final_epsilon=0.3,
    epsilon_decay_steps=STEPS, seed=0, log=False,
)  # fmt: skip
agent.train(total_timesteps=STEPS, eval_env=env)
first = int(np.ravel_multi_index(env.reset()[0], agent.env_shape))
found = {tuple(np.round(point, 9)) for point in agent.get_local_pcs(first)}
print(f"{len(found & front)} of the {len(front)} points on the front of run 777")
