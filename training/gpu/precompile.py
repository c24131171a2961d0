"""Compiles the GPU kernels of a build ahead, on a machine that needs no GPU.

    python -m nb201env.training.gpu.precompile --capability 90 --out cache
    python -m nb201env.training.gpu.precompile --install cache --into ~/.triton/cache    # on that machine

The first line compiles what an official-12 build of cifar10-valid and a small-12 build of
cifar10-valid-16px launch, 64 networks at a time. The second puts it where Triton looks (the folder
that TRITON_CACHE_DIR names, by default ~/.triton/cache); without it the cache is of use only in
the folder where it was made, because Triton keeps absolute paths in it.

Triton takes a kernel from the cache if its key is the same. The key depends on Triton's own files (the
wheel: its version, the Python version it is for, and the ptxas in it), the kernels' source text and line
numbers, the constants and kinds of arguments, the GPU's compute capability, and on environment
variables that change the code, such as TRITON_DEFAULT_FP_FUSION, DISABLE_PTXAS_OPT or
TRITON_DISABLE_LINE_INFO. It does not depend on where the checkout or Triton is. If anything differs,
Triton compiles as it would without a cache. So compile with the Python and the Triton of the GPU's
machine, if need be in two steps, of which the second needs Triton and NumPy, but no PyTorch:

    python -m nb201env.training.gpu.precompile --list variants.json
    python3.12 -m nb201env.training.gpu.precompile --from variants.json --capability 90 --out cache

Triton also builds small C modules that start the kernels, which needs a C compiler and Python's headers
on the GPU's machine. Versions that do (3.6) get these built here too where there is a compiler.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nb201env.training.gpu.kernel_cache import Compiled, compile_into, install
from nb201env.training.gpu.variants import Variant, distinct, read_variants, write_variants

BUILDS = (("cifar10-valid", "official-12"), ("cifar10-valid-16px", "small-12"))
"""Task and recipe of what is compiled by default."""
CAPABILITIES = (80, 86, 89, 90, 100, 120)
"""Of GPUs with bfloat16: A100, RTX 30, RTX 40 and L4, H100 and H200, B200, RTX 50."""


def list_variants(builds: Sequence[tuple[str, str]], networks: Sequence[int], dtype: str) -> list[Variant]:
    """What these builds compile; needs PyTorch.

    Args:
        builds: Task and recipe of each.
        networks: How many are trained at once; several, if shards of several sizes are built.
        dtype: Of activations: "bfloat16" or "float32".

    Raises:
        ValueError: If there is no such task or recipe.
    """
    import torch

    from nb201env.training.gpu.launches import find_images, variants_of_build
    from nb201env.training.recipe import find_recipe

    return distinct(
        variant
        for task, recipe in builds
        for count in networks
        for variant in variants_of_build(
            find_recipe(recipe), find_images(task), count, getattr(torch, dtype)
        )
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 if all went well, 1 if a kernel did not compile."""
    options = _parse(arguments)
    try:
        return _run(options)
    except ValueError as error:
        _end(str(error))
    except OSError as error:
        _end(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.install:
        print(f"{install(options.install, options.into)} kernels of {options.install} in {options.into}")
        return 0
    if options.source:
        variants = read_variants(options.source)
    else:
        builds = BUILDS if options.task is None else [(options.task, options.recipe)]
        variants = list_variants(builds, options.networks, options.dtype)
    if options.list:
        write_variants(variants, options.list)
        print(f"{len(variants)} variants in {options.list}")
        return 0
    start = time.perf_counter()
    done = compile_into(options.out, variants, options.capability, options.jobs)
    return _report(done, options.out, time.perf_counter() - start)


def _report(done: Sequence[Compiled], out: Path, seconds: float) -> int:
    failed = [one for one in done if one.error]
    new = sum(not one.found for one in done) - len(failed)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    for one in failed:
        print(f"{one.name}: {one.error}", file=sys.stderr)
    print(
        f"{len(done)} variants: {new} compiled, {len(done) - new - len(failed)} were there, "
        f"{len(failed)} failed; {seconds:.0f} s, {size / 1e6:.1f} MB in {out}"
    )
    return 1 if failed else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m nb201env.training.gpu.precompile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--capability", type=int, help="Of the GPU: 90 for H100 and H200.")
    add("--out", type=Path, help="The cache's folder; made if new, completed if not.")
    add("--networks", type=int, nargs="+", default=[64], help="Trained at once (default: 64).")
    add("--task", help="With --recipe: one build in place of the two.")
    add("--recipe", help="With --task: such as official-12.")
    add("--dtype", choices=("bfloat16", "float32"), default="bfloat16", help="Of activations.")
    add("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="Processes (default: all cores).")
    add("--list", type=Path, metavar="FILE", help="Write the variants there and compile nothing.")
    add("--from", type=Path, metavar="FILE", dest="source", help="Compile a list; needs no PyTorch.")
    add("--install", type=Path, metavar="FOLDER", help="Copy a cache made elsewhere; with --into.")
    add("--into", type=Path, metavar="CACHE", help="With --install: the folder where Triton looks.")
    options = parser.parse_args(arguments)
    if problem := _problem(options):
        _end(problem)
    return options


def _problem(options: argparse.Namespace) -> str:
    """What is wrong with the options, in a sentence."""
    if bool(options.install) != bool(options.into):
        return "--install FOLDER and --into CACHE go together"
    if options.install:
        return ""
    if (options.task is None) != (options.recipe is None):
        return "--task and --recipe go together"
    if min(options.networks) < 1 or options.jobs < 1:
        return "--networks and --jobs are at least 1"
    if importlib.util.find_spec("triton") is None:
        return "Triton is not installed; install it with: pip install 'nb201env[gpu]'"
    if not options.source and importlib.util.find_spec("torch") is None:
        return "listing the variants needs PyTorch; install it, or bring a list from elsewhere with --from"
    if options.list:
        return ""
    if options.out is None or options.capability is None:
        return "give --capability and --out, or --list FILE"
    if options.capability not in CAPABILITIES:
        known = ", ".join(map(str, CAPABILITIES))
        return f"capability {options.capability} is none that the kernels compile for; these are {known}"
    return ""


def _end(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    os.environ["TRITON_INTERPRET"] = "0"  # read when the kernels are defined: these are to be compiled
    sys.exit(main())
