"""The Triton kernels against plain PyTorch, and plain PyTorch against PyTorch's own modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nb201env import Architecture
from nb201env.training.gpu import torch_ops
from nb201env.training.gpu.codes import EPS, Codes, Convs
from nb201env.training.gpu.stacked import functions
from tests.training.gpu.common import (
    BACKENDS,
    DEAD,
    DEVICE,
    EVERY,
    MIXED,
    ONE_OP,
    only_live_weights,
    random_convs,
    random_tensor,
)

pytestmark = pytest.mark.filterwarnings(  # of Triton's interpreter before 3.7
    "ignore:Conversion of an array with ndim:DeprecationWarning"
)
Result = tuple[Tensor, list[Tensor], dict[str, Tensor]]
BUSY = [
    Architecture(ops)
    for ops in (
        (3, 1, 2, 4, 1, 3),  # a convolution, a skip and a pooling leave node 0; both kinds leave node 1
        (4, 2, 4, 1, 3, 4),  # node 1 by pooling and convolution, node 2 by pooling alone
        (2, 3, 4, 0, 3, 1),
    )
]


@pytest.fixture(autouse=True)
def _unwritten_memory_is_not_a_number() -> Iterator[None]:
    """What a kernel leaves unwritten and another one reads makes every comparison fail."""
    memory: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    memory.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(before[0])
    memory.fill_uninitialized_memory = before[1]


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles and parts of a sum even of few pixels, and the last of them not full."""
    pytest.importorskip("triton")
    from nb201env.training.gpu import passes

    for name, value in (("_PIXELS", 64), ("_PIXELS_PER_SPLIT", 100), ("_ELEMENTS", 1024)):
        monkeypatch.setattr(passes, name, value)
    monkeypatch.setitem(passes._SUMS, 4, passes._SUMS[2])  # weight gradients cut as in half precision


def measured(run: Callable[[], tuple[Tensor, list[Tensor]]], convs: Convs) -> Result:
    """Output, gradients of inputs and weights, and the statistics that were moved."""
    convs.zero_grad()
    out, inputs = run()
    out.backward(random_tensor(*out.shape, seed=7, dtype=out.dtype))
    gradients = [t.grad for t in (*inputs, *convs.parameters())]
    return out.detach(), gradients, {name: b.clone() for name, b in convs.named_buffers()}  # type: ignore[return-value]


def run_cell(module: ModuleType, architectures: Sequence[Architecture], shape: tuple[int, ...],
             dtype: torch.dtype = torch.float32, training: bool = True) -> Result:  # fmt: skip
    codes = Codes.of(architectures, DEVICE)
    convs = only_live_weights(random_convs(6, len(architectures), shape[-1], shape[-1]), codes)
    convs.train(training)
    x = random_tensor(len(architectures), *shape, dtype=dtype).requires_grad_()
    return measured(lambda: (module.cell(x, convs, codes), [x]), convs)


def agree(found: Result, expected: Result, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(found[0], expected[0], rtol=tolerance, atol=tolerance)
    for one, two in zip(found[1], expected[1], strict=True):
        scale = float(two.abs().max()) + 1e-6
        torch.testing.assert_close(one / scale, two / scale, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found[2], expected[2], rtol=tolerance, atol=tolerance)


def test_plain_ops_are_pytorchs_own() -> None:
    x = random_tensor(3, 2, 6, 6, 5).requires_grad_()
    flat = x.flatten(0, 1).permute(0, 3, 1, 2)
    pooled = nn.AvgPool2d(3, 1, 1, count_include_pad=False)(flat)
    torch.testing.assert_close(torch_ops.pool(x).flatten(0, 1).permute(0, 3, 1, 2), pooled)
    halved = torch_ops.halve(x).flatten(0, 1).permute(0, 3, 1, 2)
    torch.testing.assert_close(halved, functional.avg_pool2d(flat, 2))
    norm = nn.BatchNorm2d(5, eps=EPS).to(DEVICE)
    mine = torch_ops.batch_norm(x[:1], norm.weight[None], norm.bias[None])
    torch.testing.assert_close(mine[0].permute(0, 3, 1, 2), norm(x[0].permute(0, 3, 1, 2)))


@pytest.mark.parametrize("stride", [1, 2])
def test_plain_convolution(stride: int) -> None:
    x, weight = random_tensor(2, 3, 8, 8, 5).requires_grad_(), random_tensor(2, 9, 5, 4).requires_grad_()
    found = torch_ops.convolve(x, weight, stride)
    kernels = weight.view(2, 3, 3, 5, 4).permute(0, 4, 3, 1, 2)
    images = x.permute(0, 1, 4, 2, 3)
    expected = torch.stack(
        [functional.conv2d(i, w, stride=stride, padding=1) for i, w in zip(images, kernels, strict=True)]
    ).permute(0, 1, 3, 4, 2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    upstream = random_tensor(*found.shape)
    torch.testing.assert_close(
        torch.autograd.grad(found, (x, weight), upstream),
        torch.autograd.grad(expected, (x, weight), upstream), rtol=1e-4, atol=1e-4,
    )  # fmt: skip


def test_a_weight_gradient_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = random_tensor(2, 64, 5), random_tensor(2, 5, 3).requires_grad_()
    whole = torch.autograd.grad(torch_ops.product(x, weight).square().sum(), weight)
    monkeypatch.setattr(torch_ops, "_SPLIT", 16)
    parts = torch.autograd.grad(torch_ops.product(x, weight).square().sum(), weight)
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(
    "architectures", [EVERY[::2], EVERY[1::2], ONE_OP + DEAD + BUSY], ids=["even", "odd", "dead and busy"]
)
def test_cells_of_every_op_on_every_edge(architectures: list[Architecture], training: bool) -> None:
    pytest.importorskip("triton")
    shape = (1, 4, 4, 4)
    expected = run_cell(torch_ops, architectures, shape, training=training) if training else None
    if training:
        agree(run_cell(functions("triton"), architectures, shape), expected)  # type: ignore[arg-type]
        return
    codes = Codes.of(architectures, DEVICE)
    convs = only_live_weights(random_convs(6, len(architectures), 4, 4), codes).eval()
    x = random_tensor(len(architectures), *shape)
    with torch.no_grad():
        found = functions("triton").cell(x, convs, codes)
        torch.testing.assert_close(found, torch_ops.cell(x, convs, codes), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "shape", [(2, 8, 8, 16), (2, 4, 12, 5), (5, 2, 2, 33), (7, 3, 5, 1)], ids=lambda s: "x".join(map(str, s))
)
@pytest.mark.usefixtures("small_tiles")
def test_cells_of_other_shapes(shape: tuple[int, ...]) -> None:
    """Several tiles, tiles that are not full, sides that differ, channels that fill no tile."""
    agree(run_cell(functions("triton"), BUSY[:2], shape), run_cell(torch_ops, BUSY[:2], shape), 2e-4)


def test_cells_in_half_precision() -> None:
    """The interpreter knows float16 and not bfloat16; the program is the same for both."""
    pytest.importorskip("triton")
    dtype = torch.bfloat16 if DEVICE == "cuda" else torch.float16
    some = [Architecture((3, 4, 2, 2, 1, 3)), Architecture((2, 3, 4, 0, 3, 1))]
    exact = run_cell(torch_ops, some, (2, 4, 4, 8))
    rounded = run_cell(functions("triton"), some, (2, 4, 4, 8), dtype)
    assert rounded[0].dtype == dtype
    for one, two in zip([rounded[0], *rounded[1]], [exact[0], *exact[1]], strict=True):
        assert float((one.float() - two).norm() / two.norm()) < 0.03
    torch.testing.assert_close(rounded[2], exact[2], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(("stride", "relu", "adds", "shared", "channels"), [
    (1, False, False, True, (3, 6)), (1, True, False, True, (3, 6)), (2, True, False, False, (3, 6)),
    (1, True, True, False, (3, 6)), (1, True, False, False, (3, 6)), (1, False, False, False, (6, 3)),
    (2, True, True, False, (20, 40)), (1, True, False, False, (40, 100)),
], ids=[
    "stem", "shared", "stride", "addend", "alone", "no ReLU", "a window a program", "a tap a program",
])  # fmt: skip
@pytest.mark.usefixtures("small_tiles")
def test_lone_convolutions(
    stride: int, relu: bool, adds: bool, shared: bool, channels: tuple[int, int]
) -> None:
    codes, results = Codes.everywhere(2, DEVICE), []
    for module in (functions("triton"), torch_ops):
        convs = random_convs(1, 2, *channels)
        x = random_tensor(1 if shared else 2, 2, 4, 8, channels[0]).requires_grad_(not shared)
        sides = 4 // stride, 8 // stride
        addend = random_tensor(2, 2, *sides, channels[1], seed=3).requires_grad_() if adds else None

        def run(module: ModuleType = module, x: Tensor = x, convs: Convs = convs,
                addend: Tensor | None = addend) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
            out = module.conv_norm(x, convs, codes, stride=stride, relu=relu, addend=addend)
            return out, [t for t in (x, addend) if t is not None and t.requires_grad]

        results.append(measured(run, convs))
    agree(results[0], results[1])


def test_the_ways_to_cut_a_weight_gradient() -> None:
    """Rows of taps for thin networks; single taps where those fill the matrix units; fewer if sums spill."""
    pytest.importorskip("triton")
    from nb201env.training.gpu.passes import Windows

    ways = {
        (3, 16): (4, 3, 1), (32, 32): (4, 3, 1), (32, 64): (4, 1, 3), (64, 64): (1, 3, 3),
        (128, 128): (1, 1, 9),
    }  # fmt: skip
    bf16 = torch.bfloat16
    assert {channels: Windows.of(*channels, 10**6, bf16)[:3] for channels in ways} == ways
    assert Windows.of(16, 16, 10**6, bf16).block == 64
    assert Windows.of(3, 16, 10**6, bf16).block == 16
    assert Windows.of(16, 16, 20, bf16).block == 32


SPECIAL = [-1.5, -0.0, 0.0, 1.5, float("inf"), float("-inf"), float("nan"), -1e-40]


def test_a_rectified_copy_of_special_values() -> None:
    """Zeros of either sign are zero, and what is not a number stays so: a diverged network must be seen."""
    pytest.importorskip("triton")
    from nb201env.training.gpu.passes import rectify

    x = torch.tensor(SPECIAL, device=DEVICE).repeat(2, 1).view(2, 1, 2, 2, 2)
    copy = rectify(x, Codes.everywhere(2, DEVICE), 2)
    torch.testing.assert_close(copy, x.relu(), rtol=0, atol=0, equal_nan=True)


def test_only_what_is_read_is_written() -> None:
    """By network: a node that a convolution leaves, a skip, both, a pooling, nothing."""
    pytest.importorskip("triton")
    from nb201env.training.gpu.passes import Shape, node_sum, rectify

    edges = [(1, 0, op, 0, other, 1) for op, other in ((3, 0), (1, 0), (2, 1), (4, 0), (0, 0))]
    # Edge 5 keeps node 2 alive; the first edge brings node 0 into node 1.
    codes = Codes.of([Architecture(ops) for ops in edges], DEVICE)
    x = random_tensor(5, 1, 2, 4, 3)
    y, norm = x.new_empty(codes.capacity, *x.shape[1:]), x.new_empty(6, 5, 4, 3)
    raw, rectified = node_sum([x], y, norm, codes, 1, 4, Shape.of(x, 5, 3))
    written = [[bool(t[k].isfinite().all()) for t in (raw, rectified)] for k in range(5)]
    assert written == [[False, True], [True, False], [True, True], [True, False], [False, False]]
    for tensor, expected in ((raw, x), (rectified, x.relu())):
        some = tensor.isfinite()
        torch.testing.assert_close(tensor[some], expected[some])
    assert rectify(x, codes, 4).isnan().all()  # no convolution leaves node 0


def test_zeros_of_either_sign_have_no_gradient() -> None:
    pytest.importorskip("triton")
    results = []
    for module in (functions("triton"), torch_ops):
        codes = Codes.of([Architecture((0, 0, 0, 3, 0, 0)), Architecture((2, 0, 0, 0, 1, 0))], DEVICE)
        convs = only_live_weights(random_convs(6, 2, 4, 4), codes)
        x = random_tensor(2, 1, 4, 4, 4)
        x[..., 0], x[..., 1, :2] = -0.0, 0.0
        x.requires_grad_()
        results.append(measured(lambda m=module, x=x, v=convs, k=codes: (m.cell(x, v, k), [x]), convs))  # type: ignore[misc]
    agree(results[0], results[1])
    gradient = results[0][1][0]
    assert (gradient[x <= 0] == 0).all()
    assert (gradient[x > 0] != 0).any()


def lone(x: Tensor, **options: Any) -> Tensor:
    out: Tensor = functions("triton").conv_norm(
        x, random_convs(1, 2, 3, 4), Codes.everywhere(2, DEVICE), **options
    )
    return out


def test_a_second_backward_pass_is_an_error() -> None:
    """The gradients of raw outputs stand where the outputs were."""
    pytest.importorskip("triton")
    codes = Codes.of(BUSY[:1], DEVICE)
    x = random_tensor(1, 1, 4, 4, 4).requires_grad_()
    made = [functions("triton").cell(x, random_convs(6, 1, 4, 4), codes), lone(random_tensor(2, 1, 4, 4, 3))]
    for out in made:
        out.sum().backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="run backward already.*run the forward pass again"):
            out.sum().backward()


def test_no_gradient_of_a_gradient() -> None:
    pytest.importorskip("triton")
    x = random_tensor(2, 1, 4, 4, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(lone(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_what_a_lone_convolution_refuses() -> None:
    pytest.importorskip("triton")
    with pytest.raises(ValueError, match="stride 2 takes images of even sides; got 4 x 5"):
        lone(random_tensor(2, 1, 4, 5, 3), stride=2)
    with pytest.raises(ValueError, match="one batch for 2 networks and has no gradient of its own; detach"):
        lone(random_tensor(1, 1, 4, 4, 3).requires_grad_())


def test_statistics_survive_a_large_mean() -> None:
    """A channel whose mean is thousands of deviations: a sum of squares would lose its variance."""
    pytest.importorskip("triton")
    codes = Codes.of([Architecture((0, 0, 0, 2, 0, 0))], DEVICE)
    convs = only_live_weights(random_convs(6, 1, 4, 4), codes)
    with torch.no_grad():
        convs.weight.copy_(convs.weight.abs())
    x = 1000 + random_tensor(1, 4, 8, 8, 4)
    out = functions("triton").cell(x, convs, codes)
    precise = torch_ops.batch_norm(
        (x.double() @ convs.weight[3, 0, 4].double()).float(), convs.gain[3], convs.bias[3]
    )
    torch.testing.assert_close(out, precise, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_other_architectures_in_the_same_program(backend: str) -> None:
    """The ops are data: what was made for some architectures computes others, with room to spare."""
    module, first, second = functions(backend), MIXED[:3], MIXED[3:6]
    lengths = {(edge, op): 3 for edge in range(6) for op in range(1, 5)}
    codes = Codes.of(first, DEVICE, capacity=18, lengths=lengths)
    addresses = [codes.ops.data_ptr(), codes.slots.data_ptr()]
    x = random_tensor(3, 1, 4, 4, 4)
    for architectures in (first, second):
        codes.load(architectures)
        exact = Codes.of(architectures, DEVICE)
        convs = only_live_weights(random_convs(6, 3, 4, 4), exact)
        roomy, tight = module.cell(x, convs, codes), torch_ops.cell(x, convs, exact)
        torch.testing.assert_close(roomy, tight, rtol=1e-4, atol=1e-4)
    assert addresses == [codes.ops.data_ptr(), codes.slots.data_ptr()]


def test_too_many_for_a_program() -> None:
    codes = Codes.of(ONE_OP[:1], DEVICE)
    for others in (ONE_OP[3:4], ONE_OP[:2]):
        with pytest.raises(ValueError, match="room for 1 architectures with 1 convolutions"):
            codes.load(others)


def test_every_convolution_has_a_slot_of_its_own() -> None:
    codes = Codes.of(MIXED)
    conv = (codes.ops == 2) | (codes.ops == 3)
    slots = codes.slots[conv].tolist()
    assert sorted(slots) == list(range(codes.capacity))


def test_an_unknown_backend() -> None:
    with pytest.raises(ValueError, match="unknown backend 'cudnn'; the backends are triton, torch"):
        functions("cudnn")
