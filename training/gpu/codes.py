"""The architecture as data: which op each of K networks has on each edge, as tensors.

A program compiled or captured for K networks reads everything that depends on the architectures
from a `Codes`; `Codes.load` puts other architectures there without touching the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nb201env.architecture import Architecture
from nb201env.space import CONV1X1, CONV3X3, NUM_EDGES, POOL, SKIP
from nb201env.training.network import live_ops

EPS, MOMENTUM = 1e-5, 0.1
"""Of batch norm: PyTorch's defaults, which the official network keeps."""
Ops = npt.NDArray[np.int32]
COMPUTED = (SKIP, CONV1X1, CONV3X3, POOL)


class Convs(nn.Module):
    """Weights of `edges` convolutions with batch norm, of K networks each.

    Attributes:
        weight: [edges, K, 9, inputs, outputs]; the nine taps row by row. A 1x1 convolution has
            the centre tap alone. Zero where a network has no convolution: it stays zero.
        gain, bias: Of batch norm; [edges, K, outputs].
        running_mean, running_var: Of batch norm; [edges, K, outputs].
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, edges: int, networks: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(edges, networks, 9, inputs, outputs))
        self.gain = nn.Parameter(torch.ones(edges, networks, outputs))
        self.bias = nn.Parameter(torch.zeros(edges, networks, outputs))
        self.register_buffer("running_mean", torch.zeros(edges, networks, outputs))
        self.register_buffer("running_var", torch.ones(edges, networks, outputs))


@dataclass(frozen=True)
class Members:
    """Which networks have one op on one edge, padded to a fixed length.

    Attributes:
        networks: Their numbers; padding repeats network 0; int64 [n].
        real: 1 for a member and 0 for padding; float32 [n, 1, 1, 1, 1].
    """

    networks: Tensor
    real: Tensor


@dataclass(frozen=True)
class Codes:
    """The live ops of K architectures.

    Attributes:
        ops: Op codes; int32 [6, K].
        slots: Where the output of a convolution is kept; int32 [6, K].
        capacity: Outputs of convolutions that one cell has room for, over all K networks.
        members: By (edge, op), for the program without Triton kernels.
    """

    ops: Tensor
    slots: Tensor
    capacity: int
    members: dict[tuple[int, int], Members]

    @classmethod
    def of(
        cls, architectures: Sequence[Architecture], device: torch.device | str = "cpu",
        capacity: int | None = None, lengths: dict[tuple[int, int], int] | None = None,
    ) -> Codes:  # fmt: skip
        """For these architectures, with more room than they need where that is asked for.

        Args:
            architectures: K of them.
            device: Where the tensors live.
            capacity: See `Codes`; by default as many as these architectures have.
            lengths: Length of each list of members; by default as long as they are.

        Raises:
            ValueError: If they need more room than was asked for.
        """
        ops = live_codes(architectures)
        room = capacity or max(count_convolutions(ops), 1)
        members = {
            key: Members(
                torch.zeros(n, dtype=torch.int64, device=device), torch.zeros(n, 1, 1, 1, 1, device=device)
            )
            for key, n in (lengths or count_members(ops)).items()
            if n
        }
        ops_there = torch.zeros(ops.shape, dtype=torch.int32, device=device)
        codes = cls(ops_there, ops_there.clone(), room, members)
        codes.load(architectures)
        return codes

    @classmethod
    def everywhere(cls, networks: int, device: torch.device | str = "cpu") -> Codes:
        """A node with two edges: a 3x3 convolution in all networks, and a skip beside it."""
        kinds = torch.tensor([[CONV3X3], [SKIP]], dtype=torch.int32, device=device)
        slots = torch.arange(networks, dtype=torch.int32, device=device)
        return cls(kinds.repeat(1, networks), slots.repeat(2, 1), networks, {})

    def load(self, architectures: Sequence[Architecture]) -> None:
        """Put other architectures, as many, into the same tensors.

        Raises:
            ValueError: If they need more room than there is.
        """
        ops = live_codes(architectures)
        if not self.fits(ops):
            raise ValueError(
                f"this program has room for {self.ops.shape[1]} architectures with {self.capacity} "
                f"convolutions in a cell; got {ops.shape[1]} with {count_convolutions(ops)}, or a list of "
                "members is too short; make a program for these"
            )
        conv = (ops == CONV1X1) | (ops == CONV3X3)
        slots = np.where(conv, np.cumsum(conv).reshape(conv.shape) - 1, 0).astype(np.int32)
        self.ops.copy_(torch.from_numpy(ops))
        self.slots.copy_(torch.from_numpy(slots))
        for (edge, op), members in self.members.items():
            found = np.flatnonzero(ops[edge] == op)
            padded = np.zeros(len(members.networks), dtype=np.int64)
            padded[: len(found)] = found
            real = (np.arange(len(padded)) < len(found)).reshape(-1, 1, 1, 1, 1)
            members.networks.copy_(torch.from_numpy(padded))
            members.real.copy_(torch.from_numpy(real))

    def fits(self, ops: Ops) -> bool:
        """Whether there is room for architectures with these live op codes."""
        room = {key: len(members.networks) for key, members in self.members.items()}
        return (
            ops.shape == self.ops.shape
            and count_convolutions(ops) <= self.capacity
            and all(n <= room.get(key, 0) for key, n in count_members(ops).items())
        )


def live_codes(architectures: Sequence[Architecture]) -> Ops:
    """Live op codes of K architectures; int32 [6, K]."""
    return np.ascontiguousarray(np.array([live_ops(a) for a in architectures], dtype=np.int32).T)


def count_convolutions(ops: Ops) -> int:
    """Live convolutions of one cell, over all networks."""
    return int(((ops == CONV1X1) | (ops == CONV3X3)).sum())


def count_members(ops: Ops) -> dict[tuple[int, int], int]:
    """How many networks have each op on each edge."""
    return {(edge, op): int((ops[edge] == op).sum()) for edge in range(NUM_EDGES) for op in COMPUTED}
