"""What the agents share that learn logits of the ops by gradient descent: DARTS, GDAS, SETN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nb201env.agents.weight_sharing.search import DIGITS, WeightSharing
from nb201env.architecture import Architecture


@dataclass(frozen=True)
class GradientBased(WeightSharing):
    """An architecture as logits [6, 5], moved by Adam.

    Attributes:
        arch_learning_rate: Adam's step size.
        arch_betas: Adam's decay rates.
        arch_weight_decay: On the logits.
    """

    arch_learning_rate: float = 3e-4
    arch_betas: tuple[float, float] = (0.5, 0.999)
    arch_weight_decay: float = 1e-3

    # Few steps must lead as far as the official 19,500.
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"digits": DIGITS | {"arch_learning_rate": 0.02}}

    def adam(self, logits: Tensor) -> torch.optim.Adam:
        """The logits' optimizer."""
        return torch.optim.Adam(
            [logits], self.arch_learning_rate, self.arch_betas, weight_decay=self.arch_weight_decay
        )


def step(adam: torch.optim.Adam, logits: Tensor, gradient: Tensor | None) -> None:
    """Move the logits along a gradient; None where the loss does not depend on them."""
    logits.grad = gradient
    adam.step()


def strongest(logits: Tensor) -> Architecture:
    """The op of the largest logit on every edge ("none" included, as in the official code)."""
    return Architecture(tuple(logits.argmax(dim=1).tolist()))
