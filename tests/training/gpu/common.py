"""What the tests of the GPU trainers share."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from nb201env import Architecture
from nb201env.space import CONV3X3, NONE, NUM_EDGES, NUM_OPS, SIZE, SKIP
from nb201env.training.data import SPLITS
from nb201env.training.gpu.codes import Codes, Convs
from nb201env.training.loop import Logs

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HAVE_TRITON = importlib.util.find_spec("triton") is not None
TRITON = pytest.param("triton", marks=pytest.mark.skipif(not HAVE_TRITON, reason="needs triton"))
BACKENDS = ("torch", TRITON)

ONE_OP = [Architecture((op,) * NUM_EDGES) for op in range(NUM_OPS)]
EVERY = [
    Architecture((SKIP,) * NUM_EDGES).replace(edge, op) for edge in range(NUM_EDGES) for op in range(NUM_OPS)
]
"""Every op on every edge."""
DEAD = [
    Architecture(ops)
    for ops in (
        (CONV3X3, NONE, NONE, SKIP, NONE, NONE),  # node 1 leads nowhere
        (NONE, NONE, CONV3X3, NONE, NONE, SKIP),  # a convolution of nothing
        (CONV3X3, CONV3X3, 2, NONE, NONE, 2),
        (NONE, NONE, 1, 1, 4, 4),  # nodes 1 and 2 are zero
    )
]
MIXED = [Architecture.from_index(int(i)) for i in np.random.default_rng(4).choice(SIZE, 24)]


def random_convs(edges: int, networks: int, inputs: int, outputs: int, seed: int = 0) -> Convs:
    """Weights, gains and statistics without any special value."""
    generator = torch.Generator().manual_seed(seed)
    convs = Convs(edges, networks, inputs, outputs)
    with torch.no_grad():
        for name, tensor in convs.state_dict().items():
            value = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(value.abs() + 0.5 if name == "running_var" else value * 0.4)
    return convs.to(DEVICE)


def only_live_weights(convs: Convs, codes: Codes) -> Convs:
    """A 1x1 convolution has its centre tap alone, and where there is no convolution all is zero."""
    with torch.no_grad():
        centre = torch.zeros(9, device=convs.weight.device)
        centre[4] = 1
        for code, taps in ((0, 0 * centre), (1, 0 * centre), (2, centre), (4, 0 * centre)):
            mask = (codes.ops == code)[..., None, None, None]
            convs.weight.copy_(torch.where(mask, convs.weight * taps.view(9, 1, 1), convs.weight))
    return convs


def random_tensor(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(DEVICE, dtype)


def assert_same(found: Logs, expected: Logs) -> None:
    """To the bit on a CPU. On a GPU PyTorch promises that of cuDNN alone, so there it is to rounding."""
    exact = DEVICE == "cpu"
    for split in SPLITS:
        np.testing.assert_allclose(found.loss[split], expected.loss[split], rtol=0 if exact else 1e-3)
        np.testing.assert_allclose(found.correct[split], expected.correct[split], atol=0 if exact else 5)


def names(architectures: Sequence[Architecture]) -> list[str]:
    return ["".join(map(str, a.ops)) for a in architectures]
