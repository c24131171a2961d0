"""PPO in one file, from top to bottom, over the native vector environment.

Schulman et al., 2017, written in the way of CleanRL (Huang et al., JMLR 2022). Several copies of
the environment build a cell each; they share one search, so the queries of a step are asked, and
recorded, in the order of the copies (see `nb201env.agents.contract.vectorized`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nb201env.agents.contract import Env, vectorized
from nb201env.agents.rl.logbook import Logbook, check_folder
from nb201env.arrays import FloatArray
from nb201env.envs.spaces import STATES, UNDECIDED
from nb201env.extras import require
from nb201env.space import NUM_EDGES, NUM_OPS

require("torch", "agents")
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import one_hot  # noqa: E402

from nb201env.training.threads import one_thread  # noqa: E402
from nb201env.wrappers import Shaping  # noqa: E402


@dataclass(frozen=True)
class PPO:
    """Proximal policy optimisation.

    Attributes:
        num_envs: Copies; so many architectures are asked for between updates.
        learning_rate: Adam's step size.
        update_epochs: Gradient steps per update, each over all of its data.
        clip_coef: How far the policy's ratio may move from 1.
        ent_coef: Weight of the entropy bonus.
        vf_coef: Weight of the value loss.
        max_grad_norm: Longer gradients are shortened to this norm.
        hidden: Width of the hidden layer of policy and value network.
        sharpness, novelty: Of the reward it learns from; see `nb201env.wrappers`.
        tensorboard: Folder for TensorBoard's event files; None writes none.
    """

    num_envs: int = 8
    learning_rate: float = 3e-3
    update_epochs: int = 4
    clip_coef: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    hidden: int = 64
    sharpness: float = 50.0
    novelty: float = 0.2
    tensorboard: str | None = None

    def __post_init__(self) -> None:
        check_folder(self.tensorboard)

    def search(self, env: Env, seed: int) -> None:
        """See `nb201env.agents.contract.Agent`."""
        with one_thread():
            self._search(env, seed)

    def _search(self, env: Env, seed: int) -> None:
        envs = vectorized(env, self.num_envs)
        building = envs.single_action_space.shape == ()  # else six operations are one action
        generator = torch.Generator().manual_seed(seed % 2**63)
        goal = self.goal(env, generator)
        policy = network(self.hidden, NUM_OPS, 0.01, generator, goal.numbers)
        value = network(self.hidden, 1, 1.0, generator, goal.numbers)
        parameters = [*policy.parameters(), *value.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate, eps=1e-5)
        logbook = Logbook.open(self.tensorboard, seed)

        envs.reset()
        over = False
        while not over:
            # -- rollout: every copy builds one cell, edge by edge ---------------------------
            cells, wanted = torch.full((self.num_envs, NUM_EDGES), UNDECIDED), goal.draw(self.num_envs)
            observations, actions, log_probs = [], [], []
            for edge in range(NUM_EDGES):
                observation = torch.cat([encode(cells), wanted], dim=1)
                with torch.no_grad():
                    log_prob = policy(observation).log_softmax(-1)
                action = torch.multinomial(log_prob.exp(), 1, generator=generator)
                observations.append(observation)
                actions.append(action)
                log_probs.append(log_prob.gather(-1, action))
                cells[:, edge] = action[:, 0]
                if building:
                    _, rewards, _, _, infos = envs.step(action[:, 0].numpy())
            if not building:
                _, rewards, _, _, infos = envs.step(cells.numpy())
            over = bool(infos["search_over"].all())
            final = infos["final_info"]
            answered = np.array([architecture != "" for architecture in final["architecture"]])
            if not answered.all():
                break  # the budget ended within this step: nothing more to learn for

            # -- what was it worth: the only reward is at the end, and nothing is discounted,
            # so every step's return is the finished cell's reward ------------------------------
            shaped = goal.worth(rewards, final["architecture"])
            x, a, old = (torch.cat(parts) for parts in (observations, actions, log_probs))
            returns = torch.tensor(shaped, dtype=torch.float32).repeat(NUM_EDGES)
            with torch.no_grad():
                advantages = returns - value(x)[:, 0]
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

            # -- update ------------------------------------------------------------------------
            for _ in range(self.update_epochs):
                log_prob = policy(x).log_softmax(-1)
                ratio = (log_prob.gather(-1, a) - old).exp()[:, 0]
                clipped = ratio.clamp(1 - self.clip_coef, 1 + self.clip_coef)
                policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
                value_loss = ((value(x)[:, 0] - returns) ** 2).mean()
                entropy = -(log_prob.exp() * log_prob).sum(-1).mean()
                loss = policy_loss + self.vf_coef * value_loss - self.ent_coef * entropy
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
                optimizer.step()

            self.updated(policy)
            logbook.search(goal.shaping, final["queries"][-1], final["clock"][-1])
            logbook.write(
                {
                    "losses/policy_loss": policy_loss.item(),
                    "losses/value_loss": value_loss.item(),
                    "losses/entropy": entropy.item(),
                    "losses/clip_fraction": (ratio - 1).abs().gt(self.clip_coef).float().mean().item(),
                }
            )
        logbook.close()

    def goal(self, env: Env, generator: torch.Generator) -> Goal:
        """What the policy of a search is to want; a subclass may want something else in every episode."""
        return Goal(Shaping(self.sharpness, self.novelty))

    def updated(self, policy: nn.Module) -> None:
        """What to do with the policy after each update; nothing, unless a subclass has a use for it."""


class Goal:
    """What a policy is to want: the reward, shaped.

    Attributes:
        shaping: What it remembers of the search.
        numbers: How many numbers tell the policy, beside the cell, what is wanted in an episode.
    """

    numbers = 0

    def __init__(self, shaping: Shaping) -> None:
        self.shaping = shaping

    def draw(self, copies: int) -> Tensor:
        """What is wanted in the next episode of each copy; float32 [copies, numbers]."""
        return torch.empty(copies, 0)

    def worth(self, rewards: FloatArray, architectures: Sequence[str]) -> list[float]:
        """What these episodes were worth, by what was wanted in them.

        Args:
            rewards: As the environment gave them; float64 [copies] or, with several objectives, [copies, m].
            architectures: Whose they are.
        """
        return [self.shaping(float(r), a) for r, a in zip(rewards, architectures, strict=True)]


def encode(cells: Tensor) -> Tensor:
    """Partly built cells as six numbers per edge; float32 [copies, 36]."""
    return one_hot(cells, STATES).flatten(1).float()


def network(
    hidden: int, outputs: int, gain: float, generator: torch.Generator, numbers: int = 0
) -> nn.Sequential:
    """One hidden layer, orthogonal weights; the last layer's scale is `gain`.

    Its input is an encoded cell and so many numbers more.
    """
    layers: list[Any] = []
    inputs = STATES * NUM_EDGES + numbers
    for fan_in, fan_out, scale in ((inputs, hidden, 2**0.5), (hidden, outputs, gain)):
        # Made without numbers, so that the global generator is not touched.
        layer: nn.Linear = nn.Linear(fan_in, fan_out, device="meta").to_empty(device="cpu")
        nn.init.orthogonal_(layer.weight, scale, generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers[:-1])
