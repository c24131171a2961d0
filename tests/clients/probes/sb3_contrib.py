"""SB3-Contrib: agents that mask, remember, trust regions, learn quantiles or need no gradient."""

from __future__ import annotations

import numpy as np
import sb3_contrib
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.base_class import BaseAlgorithm

from tests.clients.probes import row, run
from tests.clients.recorded import are_episodes

ID, ONEHOT = "NB201-cifar10-v0", "NB201-cifar10-onehot-v0"


def rewards_are_the_tables(agent: BaseAlgorithm) -> None:
    """Each episode that SB3 recorded has an accuracy of the table as its return, and six steps."""
    are_episodes(agent.ep_info_buffer or [])


@row("MaskablePPO")
def maskable_ppo() -> None:
    agent = sb3_contrib.MaskablePPO("MlpPolicy", ID, n_steps=64, batch_size=32, n_epochs=2, seed=0)
    rewards_are_the_tables(agent.learn(128))
    env = agent.get_env()
    assert env is not None
    observation = np.asarray(env.reset())
    masks = get_action_masks(env)
    action, _ = agent.predict(observation, action_masks=masks, deterministic=True)
    assert masks.shape == (1, 5)
    assert masks[0, action[0]]


@row("RecurrentPPO of one-hot observations")
def recurrent_ppo() -> None:
    small = {"lstm_hidden_size": 32}
    agent = sb3_contrib.RecurrentPPO(
        "MlpLstmPolicy", ONEHOT, n_steps=64, batch_size=32, n_epochs=1, policy_kwargs=small, seed=0
    )
    rewards_are_the_tables(agent.learn(64))


@row("RecurrentPPO of the default observations", lacks="its LSTM takes a size that is Python's own int")
def recurrent_ppo_of_ops() -> None:
    sb3_contrib.RecurrentPPO("MlpLstmPolicy", ID, n_steps=64)


@row("TRPO")
def trpo() -> None:
    agent = sb3_contrib.TRPO("MlpPolicy", ID, n_steps=64, batch_size=32, seed=0)
    rewards_are_the_tables(agent.learn(128))


@row("QRDQN")
def qrdqn() -> None:
    agent = sb3_contrib.QRDQN("MlpPolicy", ID, learning_starts=32, buffer_size=500, seed=0)
    rewards_are_the_tables(agent.learn(128))


@row("ARS")
def ars() -> None:
    agent = sb3_contrib.ARS("LinearPolicy", ID, n_delta=2, n_eval_episodes=2, seed=0)
    agent.learn(64)
    assert agent.num_timesteps >= 64


if __name__ == "__main__":
    run()
