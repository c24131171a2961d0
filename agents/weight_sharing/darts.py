"""DARTS, first and second order: the mixture of all ops, and logits that follow the gradient.

Liu, Simonyan & Yang, ICLR 2019; official settings of NAS-Bench-201 (``DARTS-V1.sh``,
``DARTS-V2.sh``). It is known to collapse here: the derived cell fills with skip connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nb201env.agents.weight_sharing.gradient import GradientBased, step, strongest
from nb201env.agents.weight_sharing.search import Batch, Derive, Lab, cross_entropy


@dataclass(frozen=True)
class DARTSV1(GradientBased):
    """First order: the weights are taken to be the best ones for the logits."""

    epochs: int = 50

    def train(self, lab: Lab) -> Iterator[Derive]:
        """See `WeightSharing.train`."""
        logits = lab.initial_logits()
        adam = self.adam(logits)
        for epoch in lab.epochs():
            for weights_batch, judging_batch in lab.batches(epoch):
                mixture = logits.detach().softmax(dim=1)
                lab.descend(weights_batch, partial(lab.supernet.mixture, weights=mixture))
                step(adam, logits, self.gradient(lab, logits, weights_batch, judging_batch))
            yield lambda: strongest(logits)

    def gradient(self, lab: Lab, logits: Tensor, _: Batch, judging_batch: Batch) -> Tensor:
        """The gradient of the judging loss at the present weights."""
        return torch.autograd.grad(mixture_loss(lab, logits, judging_batch), [logits])[0]


@dataclass(frozen=True)
class DARTSV2(DARTSV1):
    """Second order: the weights are taken one step further, which depends on the logits.

    Attributes:
        radius: How far the weights are moved, in the Euclidean norm, for the finite difference.
    """

    clip: float = 0.0
    radius: float = 0.01

    def gradient(self, lab: Lab, logits: Tensor, weights_batch: Batch, judging_batch: Batch) -> Tensor:
        """The gradient of the judging loss at the weights one step of SGD further."""
        group = lab.sgd.param_groups[0]
        return unrolled_gradient(
            lambda: mixture_loss(lab, logits, weights_batch),
            lambda: mixture_loss(lab, logits, judging_batch),
            list(lab.supernet.parameters()),
            logits,
            lambda weight, gradient: group["lr"] * (
                gradient + group["weight_decay"] * weight + group["momentum"] * momentum_of(lab.sgd, weight)
            ),
            group["lr"],
            self.radius,
        )  # fmt: skip


def mixture_loss(lab: Lab, logits: Tensor, batch: Batch) -> Tensor:
    """The loss of the mixture of all ops with the logits' softmax as weights."""
    return cross_entropy(batch, partial(lab.supernet.mixture, weights=logits.softmax(dim=1)))


def momentum_of(sgd: torch.optim.SGD, weight: Tensor) -> Tensor:
    """SGD's velocity of a weight; zero before its first step."""
    velocity = sgd.state[weight].get("momentum_buffer") if weight in sgd.state else None
    return torch.zeros_like(weight) if velocity is None else velocity


Loss = Callable[[], Tensor]


def unrolled_gradient(
    training_loss: Loss,
    judging_loss: Loss,
    weights: Sequence[Tensor],
    logits: Tensor,
    step_of: Callable[[Tensor, Tensor], Tensor],
    rate: float,
    radius: float,
) -> Tensor:
    """The gradient of the judging loss after one step of the weights, with respect to the logits.

    With w' = w - step(w, dL_train/dw): the direct part dL_judge(w')/dlogits, minus `rate` times
    the mixed second derivative of L_train applied to v = dL_judge(w')/dw' (Liu et al., eq. 7).

    Args:
        training_loss: At the weights and logits as they stand.
        judging_loss: Likewise.
        weights: Moved meanwhile, and put back exactly.
        logits: [6, 5].
        step_of: A weight and its gradient to what is subtracted.
        rate: The derivative of that step by the gradient.
        radius: See `mixed_product`.
    """
    gradients = gradients_of(training_loss(), weights)
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= step_of(weight, gradient)
    direct, *vector = gradients_of(judging_loss(), [logits, *weights])
    _put_back(weights, kept)
    return direct - rate * mixed_product(training_loss, weights, logits, vector, radius)


def mixed_product(
    loss: Loss, weights: Sequence[Tensor], logits: Tensor, vector: Sequence[Tensor], radius: float
) -> Tensor:
    """(d2 loss / dlogits dweights) · vector, by a central difference (Liu et al., eq. 8).

    Args:
        loss: At the weights and logits as they stand.
        weights: Moved by ± `radius` along the vector, and put back exactly.
        logits: What the result has the shape of.
        vector: One tensor per weight.
        radius: Euclidean length of the move.
    """
    length = torch.cat([part.flatten() for part in vector]).norm()
    if length == 0:
        return torch.zeros_like(logits)
    scale = radius / length
    kept = [weight.detach().clone() for weight in weights]
    sides = []
    for sign in (1, -1):
        with torch.no_grad():
            for weight, start, part in zip(weights, kept, vector, strict=True):
                weight.copy_(start + sign * scale * part)
        sides.append(gradients_of(loss(), [logits])[0])
    _put_back(weights, kept)
    product: Tensor = (sides[0] - sides[1]) / (2 * scale)
    return product


def gradients_of(loss: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The gradients of a loss; zeros where it does not depend on an input."""
    return torch.autograd.grad(loss, inputs, materialize_grads=True)


def _put_back(weights: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for weight, start in zip(weights, kept, strict=True):
            weight.copy_(start)
