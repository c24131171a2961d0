"""ENAS: a recurrent controller draws architectures and is rewarded with their one-shot accuracy.

Pham, Guan, Zoph, Le & Dean, ICML 2018; official settings of NAS-Bench-201 (``ENAS.sh``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nb201env.agents.weight_sharing.search import DIGITS, Derive, Lab, WeightSharing
from nb201env.architecture import Architecture
from nb201env.space import NUM_EDGES, NUM_OPS


@dataclass(frozen=True)
class ENAS(WeightSharing):
    """A controller and a supernet, trained in turns.

    Attributes:
        hidden: Units of each of the controller's two LSTM layers.
        tanh: The controller's logits lie in (-tanh, tanh).
        temperature: They are divided by it before.
        controller_rate: Adam's step size.
        controller_steps: Of Adam, after every epoch of the weights.
        aggregate: Architectures per step.
        entropy: Weight of the controller's entropy in the reward.
        baseline_decay: Of the moving average that the reward is compared with.
        controller_clip: Largest norm of the controller's gradient.
        candidates: How many draws of the controller the result is chosen from.
    """

    batch: int = 128
    learning_rate: float = 0.05
    final_learning_rate: float = 0.0005
    cosine_epochs: int = 10
    weight_decay: float = 2.5e-4
    hidden: int = 32
    tanh: float = 2.5
    temperature: float = 5.0
    controller_rate: float = 0.001
    controller_steps: int = 50
    aggregate: int = 20
    entropy: float = 1e-4
    baseline_decay: float = 0.99
    controller_clip: float = 5.0
    candidates: int = 100

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "digits": DIGITS | {"batch": 64, "cosine_epochs": 0, "controller_rate": 0.01, "controller_steps": 3}
    }

    def train(self, lab: Lab) -> Iterator[Derive]:
        """See `WeightSharing.train`."""
        controller = initial_controller(self.hidden, self.tanh, self.temperature, lab.generator)
        adam = torch.optim.Adam(controller.parameters(), self.controller_rate, (0.0, 0.999), eps=1e-3)
        baseline: float | None = None
        for epoch in lab.epochs():
            for batch, _ in lab.batches(epoch):
                with torch.no_grad():
                    path = controller.draw(1, lab.generator).architectures[0]
                lab.descend(batch, partial(lab.supernet.path, architecture=path))
            judging = lab.judging_batches(epoch)
            for _ in range(self.controller_steps):
                drawn = controller.draw(self.aggregate, lab.generator)
                loss = torch.zeros(())
                for i, architecture in enumerate(drawn.architectures):
                    reward = lab.accuracy(architecture, next(judging))
                    reward += self.entropy * float(drawn.entropy[i].detach())
                    baseline = reward if baseline is None else baseline
                    baseline += (1 - self.baseline_decay) * (reward - baseline)
                    loss = loss - drawn.log_chance[i] * (reward - baseline) / self.aggregate
                adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(controller.parameters(), self.controller_clip)
                adam.step()
            yield partial(self._derive, lab, controller, epoch)

    @torch.no_grad()
    def _derive(self, lab: Lab, controller: Controller, epoch: int) -> Architecture:
        generator = torch.Generator().manual_seed(int(lab.aside(epoch).integers(2**62)))
        return lab.best_of(controller.draw(self.candidates, generator).architectures)


class Draw(NamedTuple):
    """Architectures drawn by a controller.

    Attributes:
        ops: int64 [n, edges].
        log_chance: Of each architecture, [n]; differentiable.
        entropy: Sum over the edges of the entropy of the choice made there, in nats; [n].
    """

    ops: Tensor
    log_chance: Tensor
    entropy: Tensor

    @property
    def architectures(self) -> list[Architecture]:
        """The same as values."""
        return [Architecture(tuple(ops)) for ops in self.ops.tolist()]


class Controller(nn.Module):
    """A two-layer LSTM that chooses the ops edge by edge; each choice is its next input.

    Args:
        hidden: Units per layer.
        tanh: Bound of the logits.
        temperature: Divides them before the bound.
        edges: Choices to make.
        ops: Options of each choice.
    """

    def __init__(
        self, hidden: int, tanh: float, temperature: float, edges: int = NUM_EDGES, ops: int = NUM_OPS
    ) -> None:
        super().__init__()
        self.tanh, self.temperature, self.edges = tanh, temperature, edges
        self.start = nn.Parameter(torch.empty(hidden))
        self.embed = nn.Embedding(ops, hidden)
        self.lstm = nn.LSTM(hidden, hidden, num_layers=2)
        self.head = nn.Linear(hidden, ops)

    def draw(self, count: int, generator: torch.Generator) -> Draw:
        """Draw architectures."""
        return self._unroll(count, lambda _, c: torch.multinomial(c, 1, generator=generator)[:, 0])

    def judge(self, ops: Tensor) -> Draw:
        """The chances of given architectures; int64 [n, edges]."""
        return self._unroll(len(ops), lambda edge, _: ops[:, edge])

    def _unroll(self, count: int, choose: Callable[[int, Tensor], Tensor]) -> Draw:
        """Go through the edges; `choose` gets the edge and the ops' chances [count, ops]."""
        x, state = self.start.expand(1, count, -1), None
        ops, log_chance, entropy = [], torch.zeros(count), torch.zeros(count)
        for edge in range(self.edges):
            out, state = self.lstm(x, state)
            logits = self.tanh * torch.tanh(self.head(out[0]) / self.temperature)
            log_chances = logits.log_softmax(dim=1)
            chosen = choose(edge, log_chances.detach().exp())
            log_chance = log_chance + log_chances.gather(1, chosen[:, None])[:, 0]
            entropy = entropy - (log_chances.exp() * log_chances).sum(dim=1)
            ops.append(chosen)
            x = self.embed(chosen)[None]
        return Draw(torch.stack(ops, dim=1), log_chance, entropy)


def initial_controller(
    hidden: int, tanh: float, temperature: float, generator: torch.Generator
) -> Controller:
    """A controller with all weights uniform in (-0.1, 0.1)."""
    with torch.random.fork_rng(devices=[]):  # its layers first draw weights of their own
        controller = Controller(hidden, tanh, temperature)
    for parameter in controller.parameters():
        nn.init.uniform_(parameter, -0.1, 0.1, generator=generator)
    return controller
