"""GDAS: one op per edge at a time, sampled by Gumbel-softmax, with gradients for its logits.

Dong & Yang, CVPR 2019; official settings of NAS-Bench-201 (``GDAS.sh``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nb201env.agents.weight_sharing.gradient import GradientBased, step, strongest
from nb201env.agents.weight_sharing.search import Derive, Lab, cross_entropy
from nb201env.architecture import Architecture


@dataclass(frozen=True)
class GDAS(GradientBased):
    """Differentiable sampling of one architecture per step.

    Attributes:
        tau: Temperature of the Gumbel-softmax in the first epoch.
        final_tau: In the last one; linear in between.
    """

    tau: float = 10.0
    final_tau: float = 0.1

    def train(self, lab: Lab) -> Iterator[Derive]:
        """See `WeightSharing.train`."""
        logits = lab.initial_logits()
        adam = self.adam(logits)
        for epoch in lab.epochs():
            tau = self.tau + (self.final_tau - self.tau) * epoch / max(self.epochs - 1, 1)
            for weights_batch, judging_batch in lab.batches(epoch):
                path, _ = gumbel_sample(logits.detach(), tau, lab.generator)
                lab.descend(weights_batch, partial(lab.supernet.path, architecture=path))
                path, gates = gumbel_sample(logits, tau, lab.generator)
                loss = cross_entropy(
                    judging_batch, partial(lab.supernet.path, architecture=path, gates=gates)
                )
                step(adam, logits, *torch.autograd.grad(loss, [logits], allow_unused=True))
            yield lambda: strongest(logits)


def gumbel_sample(logits: Tensor, tau: float, generator: torch.Generator) -> tuple[Architecture, Tensor]:
    """An architecture drawn with the logits' probabilities, and gates that let gradients through.

    The gates are 1, with the gradient of the chosen op's relaxed probability: the straight-through
    estimator of the paper, in which ops that were not drawn are not computed and pass no gradient.
    (The official code also adds their relaxed probabilities, whose value is 0, to the edge as
    constants; a gradient flows through these that the paper does not have.)

    Args:
        logits: [6, 5].
        tau: Temperature of the relaxation; the draw does not depend on it.
        generator: Of the noise.

    Returns:
        The architecture and its six gates.
    """
    noise = -torch.empty_like(logits).exponential_(generator=generator).log()
    relaxed = ((logits.log_softmax(dim=1) + noise) / tau).softmax(dim=1)
    chosen = relaxed.argmax(dim=1)
    chance = relaxed.gather(1, chosen[:, None])[:, 0]
    return Architecture(tuple(chosen.tolist())), 1 + (chance - chance.detach())
