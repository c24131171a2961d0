"""SETN: uniform paths train the weights, the mixture trains the logits, the best candidate is chosen.

Self-evaluated template network, Dong & Yang, ICCV 2019; official settings of NAS-Bench-201
(``SETN.sh``). As in the official code the candidates are the most probable architectures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nb201env.agents.weight_sharing.gradient import GradientBased, step
from nb201env.agents.weight_sharing.search import Derive, Lab, cross_entropy
from nb201env.architecture import Architecture
from nb201env.space import NUM_EDGES, all_ops, sample


@dataclass(frozen=True)
class SETN(GradientBased):
    """Learn which architectures to evaluate, and evaluate them with shared weights.

    Attributes:
        candidates: How many of the most probable architectures the result is chosen from.
    """

    clip: float = 0.0
    candidates: int = 100

    def train(self, lab: Lab) -> Iterator[Derive]:
        """See `WeightSharing.train`."""
        logits = lab.initial_logits()
        adam = self.adam(logits)
        for epoch in lab.epochs():
            for weights_batch, judging_batch in lab.batches(epoch):
                path = Architecture.from_index(int(sample(lab.rng)))
                lab.descend(weights_batch, partial(lab.supernet.path, architecture=path))
                mixture = partial(lab.supernet.mixture, weights=logits.softmax(dim=1))
                step(adam, logits, *torch.autograd.grad(cross_entropy(judging_batch, mixture), [logits]))
            yield lambda: lab.best_of(most_probable(logits, self.candidates))


def most_probable(logits: Tensor, count: int) -> list[Architecture]:
    """The architectures of the highest probability, best first; ops of edges are independent."""
    log_chance = logits.detach().log_softmax(dim=1).double().numpy()
    total = log_chance[np.arange(NUM_EDGES), all_ops()].sum(axis=1)
    return [Architecture.from_index(int(i)) for i in np.argsort(-total, kind="stable")[:count]]
