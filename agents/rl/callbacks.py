"""Callbacks for stable-baselines3 on environments with a budget."""

from __future__ import annotations

from stable_baselines3.common.callbacks import BaseCallback


class StopWhenSearchOver(BaseCallback):
    """Ends ``learn`` when the search's budget is spent.

    Without it the algorithm goes on learning from empty episodes, whose reward is 0. Where copies have a
    search each, ``learn`` ends when the last of them is over::

        env = gym.make("NB201-cifar10-v0", budget_queries=500)
        PPO("MlpPolicy", env).learn(10**9, callback=StopWhenSearchOver())
    """

    def _on_step(self) -> bool:
        return not all(info["search_over"] for info in self.locals["infos"])
