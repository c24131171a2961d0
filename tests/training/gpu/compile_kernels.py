"""Compiles every kernel for a GPU, which needs none; a program of its own, because it must not run
under Triton's interpreter.

    python -m tests.training.gpu.compile_kernels 90 bfloat16 16 32 64

Prints one line of JSON per kernel of the stages with these widths, and of the reduction or stem before
each: its name, channels, bytes of spilled registers and of shared memory, and whether the matrix units
are used.
"""

from __future__ import annotations

import json
import sys

import torch

from benchmarks.speed.sass import compiled
from nb201env.training.gpu.launches import launches, variants
from nb201env.training.network import Skeleton


def main() -> None:
    capability, dtype, widths = int(sys.argv[1]), getattr(torch, sys.argv[2]), list(map(int, sys.argv[3:]))
    official = Skeleton(width=16, cells=1, classes=10, image_size=32, channels=3)
    for variant in variants(launches(64, 256, official, dtype, training=True)):
        constants = variant.arguments
        channels = constants.get("CO", constants.get("C"))
        if channels is not None and channels not in widths:
            continue  # what has no channels is compiled in any case
        code = compiled(variant, capability)
        line = {"kernel": code.name, "channels": channels, "binary": code.binary, "mma": code.matrix_units}
        print(json.dumps(line | code.usage._asdict()))


if __name__ == "__main__":
    main()
