"""Closed forms against a count of the layers, and against official values."""

from __future__ import annotations

import numpy as np
import pytest

from nb201env import cost
from nb201env.architecture import Architecture
from nb201env.official import DATASETS
from nb201env.space import CONV1X1, CONV3X3, SIZE

# (data set, params, MACs) of the empty cell, and what each convolution adds: NATS-Bench's files.
OFFICIAL = [
    ("cifar10", 73_306, 7_783_050, 3_932_160, 35_389_440),
    ("cifar100", 79_156, 7_788_900, 3_932_160, 35_389_440),
    ("ImageNet16-120", 80_456, 1_953_400, 983_040, 8_847_360),
]


@pytest.mark.parametrize(("dataset", "params", "macs", "one", "three"), OFFICIAL)
def test_official_values_for_all_counts_of_convolutions(
    dataset: str, params: int, macs: int, one: int, three: int
) -> None:
    for n1 in range(7):
        for n3 in range(7 - n1):
            ops = (CONV1X1,) * n1 + (CONV3X3,) * n3 + (1,) * (6 - n1 - n3)
            index = Architecture(ops).index
            assert int(cost.params(index, dataset)) == params + 28_000 * n1 + 243_040 * n3
            assert int(cost.macs(index, dataset)) == macs + one * n1 + three * n3


def layers(ops: tuple[int, ...], side: int, classes: int) -> tuple[int, int]:
    """Params and MACs by walking through the network's layers one by one."""
    params = macs = 0

    def conv(c_in: int, c_out: int, k: int, out: int, bn: bool = True) -> None:
        nonlocal params, macs
        params += c_in * c_out * k * k + (2 * c_out if bn else 0)
        macs += c_in * c_out * k * k * out * out

    conv(3, 16, 3, side)
    for stage, width in enumerate((16, 32, 64)):
        out = side >> stage
        if stage:
            conv(width // 2, width, 3, out)
            conv(width, width, 3, out)
            conv(width // 2, width, 1, out, bn=False)
        for _ in range(5):
            for op in ops:
                if op in (CONV1X1, CONV3X3):
                    conv(width, width, 1 if op == CONV1X1 else 3, out)
    return params + 2 * 64 + 64 * classes + classes, macs + 64 * classes + classes


@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_a_walk_through_the_layers(dataset: str) -> None:
    spec = DATASETS[dataset]
    rng = np.random.default_rng(0)
    indices = rng.integers(SIZE, size=50)
    expected = [layers(Architecture.from_index(i).ops, spec.image_size, spec.classes) for i in indices]
    assert cost.params(indices, dataset).tolist() == [p for p, _ in expected]
    assert cost.macs(indices, dataset).tolist() == [m for _, m in expected]


def test_unknown_data_set() -> None:
    with pytest.raises(ValueError, match="no cost model for data set 'mnist'; known: cifar10"):
        cost.params(0, "mnist")
