"""Policies as probabilities of cells, and what they are worth exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nb201env.arrays import FloatArray
from nb201env.envs.answers import answers
from nb201env.envs.single import NB201Env
from nb201env.envs.spaces import UNDECIDED
from nb201env.space import NUM_EDGES, NUM_OPS, SIZE, all_ops

if TYPE_CHECKING:
    from torch import nn


def uniform() -> FloatArray:
    """The random policy: every cell alike; float64 [15625]."""
    return np.full(SIZE, 1 / SIZE)


def mean_rewards(env: NB201Env) -> FloatArray:
    """The mean reward of every cell over the runs that may answer; float64 [15625]."""
    found = answers(env.table, env.options)
    held = np.arange(found.reward.shape[1]) < found.slots[:, None]
    means: FloatArray = np.where(held, found.reward, 0.0).sum(1) / found.slots
    return means


def probabilities(network: nn.Module) -> FloatArray:
    """How likely a network that chooses op after op builds each cell; float64 [15625].

    Args:
        network: From partly built cells, float32 [copies, 36], to logits [copies, 5].
    """
    import torch

    from nb201env.agents.rl.ppo import encode

    likely = np.ones(1)
    for edge in range(NUM_EDGES):
        cells = np.full((NUM_OPS**edge, NUM_EDGES), UNDECIDED)
        cells[:, :edge] = all_ops()[:: NUM_OPS ** (NUM_EDGES - edge), :edge]
        with torch.no_grad():
            chosen = network(encode(torch.from_numpy(cells))).double().softmax(-1).numpy()
        likely = (likely[:, None] * chosen).ravel()
    found: FloatArray = likely / likely.sum()
    return found
