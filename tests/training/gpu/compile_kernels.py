"""Compiles every kernel for a GPU, which needs none; a program of its own, because it must not run
under Triton's interpreter.

    python -m tests.training.gpu.compile_kernels 90 bf16 16 32 64

Prints one line of JSON per kernel: its name, channels, bytes of shared memory, and whether the
matrix units are used.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from training.gpu import kernels, kernels_backward
from training.gpu.functions import finish_rows, gradient_tile, lanes, tile_pixels

INTEGERS = {"x_stride", "pixels", "blocks", "networks", "splits", "per_split"}
INDICES = {"ops", "slots"}
FLOATS = {
    "partial",
    "norm",
    "gain",
    "bias",
    "running_mean",
    "running_var",
    "coefficients",
    "d_gain",
    "d_bias",
}
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def compiled(kernel: Any, constants: dict[str, Any], capability: int, kind: str, warps: int = 4) -> None:
    signature, values, attributes = {}, {}, {}
    for place, parameter in enumerate(kernel.params):
        name = parameter.name
        if name in constants:
            signature[name], values[(place,)] = "constexpr", constants[name]
        elif name in INTEGERS:
            signature[name] = "i32"
        elif name in ("eps", "momentum"):
            signature[name] = "fp32"
        else:
            signature[name] = "*i32" if name in INDICES else "*fp32" if name in FLOATS else f"*{kind}"
            attributes[(place,)] = [["tt.divisibility", 16]]
    assert set(constants) <= set(signature), set(constants) - set(signature)
    source = ASTSource(kernel, signature, values, attributes)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})
    print(json.dumps({
        "kernel": kernel.fn.__name__, "channels": constants.get("CI", constants.get("C")),
        "shared": made.metadata.shared, "mma": "mma" in made.asm["ptx"], "binary": len(made.asm["cubin"]),
    }))  # fmt: skip


def compile_stage(width: int, capability: int, kind: str) -> None:
    """All kernels of one stage, the reduction to it included, as `training.gpu.functions` starts them."""
    dtype, side = DTYPES[kind], 512 // width
    where = {"capability": capability, "kind": kind}
    square = {"H": side, "W": side, "STRIDE": 1}
    block, rows = tile_pixels(width, dtype), finish_rows(width)
    taps, gradient_block = gradient_tile(width, width, dtype)
    conv = {"CI": width, "CO": width, "CIB": lanes(width), "COB": lanes(width)}
    node = {"C": width, "CB": lanes(width), "FIRST": 3, "COUNT": 3, "BLOCK": block}
    three = {"E0": 0, "E1": 1, "E2": 3, "COUNT": 3}
    one = {"E0": 0, "E1": 0, "E2": 0, "COUNT": 1}
    backward = kernels_backward
    compiled(kernels.convolve, square | conv | {"RELU": True, "STATISTICS": True, "BLOCK": block}, **where)
    compiled(kernels.convolve, square | conv | {"RELU": True, "STATISTICS": False, "BLOCK": block}, **where)
    outputs = {"CO": width, "COB": lanes(width), "FIRST": 3, "BLOCK": block, "ROWS": rows}
    compiled(kernels.finish_statistics, outputs, **where)
    compiled(kernels.node_sum, {"H": side, "W": side} | node, **where)
    compiled(backward.norm_sums, node, **where)
    compiled(backward.finish_sums, {"C": width, "CB": lanes(width), "FIRST": 3, "ROWS": rows}, **where)
    compiled(backward.data_gradient, square | conv | three | {"BLOCK": block}, **where)
    gradient = {"RELU": True, "TAPS": taps, "BLOCK": gradient_block}
    compiled(backward.weight_gradient, square | conv | gradient, **where, warps=8)
    inputs = width // 2 if width > 16 else 3  # the reduction before this stage, or the stem
    taps, gradient_block = gradient_tile(inputs, width, dtype)
    before = {"CI": inputs, "CO": width, "CIB": lanes(inputs), "COB": lanes(width)}
    reduce = square | before | ({"STRIDE": 2} if width > 16 else {})
    relu = {"RELU": width > 16}
    compiled(kernels.convolve, reduce | relu | {"STATISTICS": True, "BLOCK": block}, **where)
    gradient = {"TAPS": taps, "BLOCK": gradient_block}
    compiled(backward.weight_gradient, reduce | relu | gradient, **where, warps=8)
    if width > 16:
        compiled(
            backward.data_gradient, reduce | {"H": 2 * side, "W": 2 * side, "BLOCK": block} | one, **where
        )


def main() -> None:
    capability, kind = int(sys.argv[1]), sys.argv[2]
    for width in map(int, sys.argv[3:]):
        compile_stage(width, capability, kind)


if __name__ == "__main__":
    main()
