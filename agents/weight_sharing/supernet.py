"""The supernet: one network that holds the weights of all 15,625 architectures.

Its skeleton is `nb201env.training.network`'s. In each of its cells every edge holds all five candidate
ops, and it can be run in two ways:

* as a *path*: one architecture, the other ops are not computed. Then it is
  `nb201env.training.network.Network` with shared weights;
* as a *mixture*: every edge gives the weighted sum of its five ops.

As in the official code the candidates' batch norms have no learned scale (``affine=False``), so
that an edge's weight cannot hide in it.

Which batch norms are evaluated with the statistics of the batch at hand, instead of running
averages over batches that other architectures went through too, is a choice that decides results
(Dong & Yang 2020, section 5). It is called `batch_statistics` here: "none"; "cells", those of the
candidate ops alone; or "all", the skeleton's too. The official flag ``track_running_stats`` knows
"none" (1) and "cells" (0). Training always uses the batch's statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from nb201env.architecture import Architecture
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, NUM_EDGES, POOL, SKIP
from nb201env.training.network import STAGES, Network, Skeleton, live_ops

KERNELS = {CONV1X1: 1, CONV3X3: 3}
BATCH_STATISTICS = ("none", "cells", "all")


class Fan(nn.Module):
    """The candidate ops of all edges that leave one node.

    They read the same input, so the convolutions of one kernel size are one convolution with an
    output block for each edge, which a mixture computes in one call.

    Args:
        width: Channels.
        edges: How many edges leave the node.
        track_running_stats: Whether the batch norms keep running averages.
    """

    def __init__(self, width: int, edges: int, track_running_stats: bool) -> None:
        super().__init__()
        self.width, self.edges = width, edges
        self.convs, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for op, kernel in KERNELS.items():
            self.convs[str(op)] = nn.Conv2d(width, edges * width, kernel, padding=kernel // 2, bias=False)
            self.norms[str(op)] = nn.BatchNorm2d(
                edges * width, affine=False, track_running_stats=track_running_stats
            )

    def one(self, x: Tensor, edge: int, op: int) -> Tensor:
        """One op of one edge (counted from 0 within the fan); [B, C, H, W] to the same shape."""
        if op in KERNELS:
            return self._convolve(x, op, slice(edge * self.width, (edge + 1) * self.width))
        return _pool(x) if op == POOL else x

    def mixture(self, x: Tensor, weights: Tensor) -> Sequence[Tensor]:
        """Every edge's weighted sum of its ops.

        Args:
            x: [B, C, H, W].
            weights: [edges, 5], ops in the official order.

        Returns:
            For every edge [B, C, H, W].
        """
        shape = (len(x), self.edges, *x.shape[1:])
        ops = {op: self._convolve(x, op, slice(None)).view(shape) for op in KERNELS}
        ops |= {SKIP: x[:, None], POOL: _pool(x)[:, None]}
        terms = [weights[:, op, None, None, None] * value for op, value in ops.items()]
        return torch.stack(terms).sum(dim=0).unbind(dim=1)

    def _convolve(self, x: Tensor, op: int, block: slice) -> Tensor:
        """ReLU, convolution, batch norm, for a block of output channels."""
        conv, norm = self.convs[str(op)], self.norms[str(op)]
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        out = functional.conv2d(functional.relu(x), conv.weight[block], padding=conv.padding)
        mean, var = norm.running_mean, norm.running_var
        if mean is None or var is None:
            return functional.batch_norm(out, None, None, training=True, eps=norm.eps)
        return functional.batch_norm(out, mean[block], var[block], training=self.training, eps=norm.eps)


def _pool(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class SuperCell(nn.Module):
    """One cell with all candidate ops on every edge."""

    def __init__(self, width: int, track_running_stats: bool) -> None:
        super().__init__()
        self.fans = nn.ModuleList(Fan(width, len(edges), track_running_stats) for edges in LEAVING)

    def path(self, x: Tensor, ops: Sequence[int], gates: Tensor | None) -> Tensor:
        """One op per edge, each multiplied by its gate [6] if there are gates."""
        nodes: list[Tensor | None] = [x, None, None, None]
        for edge, (source, target) in enumerate(EDGES):
            if ops[edge] == NONE:
                continue
            value = nodes[source]
            fan = self.fans[source]
            assert isinstance(fan, Fan)
            term = fan.one(torch.zeros_like(x) if value is None else value, PLACE[edge], ops[edge])
            term = term if gates is None else gates[edge] * term
            before = nodes[target]
            nodes[target] = term if before is None else before + term
        return torch.zeros_like(x) if nodes[3] is None else nodes[3]

    def mixture(self, x: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum of all ops on every edge; weights [6, 5]."""
        nodes: list[Tensor] = [x]
        arriving: list[list[Tensor]] = [[], [], [], []]
        for fan, edges in zip(self.fans, LEAVING, strict=True):
            assert isinstance(fan, Fan)
            for edge, term in zip(edges, fan.mixture(nodes[-1], weights[edges]), strict=True):
                arriving[EDGES[edge][1]].append(term)
            nodes.append(torch.stack(arriving[len(nodes)]).sum(dim=0))
        return nodes[-1]


LEAVING = [[edge for edge in range(NUM_EDGES) if EDGES[edge][0] == node] for node in range(3)]
"""The edges that leave nodes 0, 1 and 2."""

PLACE = [LEAVING[EDGES[edge][0]].index(edge) for edge in range(NUM_EDGES)]
"""Each edge's place among those that leave the same node."""


class Supernet(nn.Module):
    """All architectures in one network.

    Args:
        skeleton: What surrounds the cells.
        batch_statistics: Which batch norms never use running averages: "none", "cells" or "all".
    """

    def __init__(self, skeleton: Skeleton, batch_statistics: str) -> None:
        super().__init__()
        track = batch_statistics == "none"
        self.frame = Network(Architecture((NONE,) * NUM_EDGES), skeleton)  # stem, reductions, classifier
        self.frame.stages = nn.ModuleList(
            nn.ModuleList(SuperCell(skeleton.width << stage, track) for _ in range(skeleton.cells))
            for stage in range(STAGES)
        )
        if batch_statistics == "all":
            for module in self.frame.modules():
                if isinstance(module, nn.BatchNorm2d):  # with no averages it has nothing else to use
                    module.running_mean = module.running_var = module.num_batches_tracked = None
                    module.track_running_stats = False

    def path(self, images: Tensor, architecture: Architecture, gates: Tensor | None = None) -> Tensor:
        """Logits of one architecture with the shared weights.

        Args:
            images: Normalised, [B, channels, side, side].
            architecture: Edges that carry nothing to the output are left out.
            gates: Factors of the six edges' ops, for gradients with respect to them.

        Returns:
            [B, classes].
        """
        ops = live_ops(architecture)
        return self._run(images, lambda cell, x: cell.path(x, ops, gates))

    def mixture(self, images: Tensor, weights: Tensor) -> Tensor:
        """Logits of the mixture of all ops, weighted alike in all cells.

        Args:
            images: Normalised, [B, channels, side, side].
            weights: [6, 5], ops in the official order.

        Returns:
            [B, classes].
        """
        return self._run(images, lambda cell, x: cell.mixture(x, weights))

    def _run(self, images: Tensor, run: Callable[[SuperCell, Tensor], Tensor]) -> Tensor:
        frame = self.frame
        x = frame.stem(images)
        for stage, cells in enumerate(frame.stages):
            x = frame.reductions[stage - 1](x) if stage else x
            assert isinstance(cells, nn.ModuleList)
            for cell in cells:
                assert isinstance(cell, SuperCell)
                x = run(cell, x)
        logits: Tensor = frame.classifier(frame.last(x).mean(dim=(2, 3)))
        return logits


def initial_supernet(skeleton: Skeleton, batch_statistics: str, seed: int) -> Supernet:
    """A supernet with PyTorch's default initialisation: a function of its arguments alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Supernet(skeleton, batch_statistics)
