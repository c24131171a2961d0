"""Triton's cache of compiled kernels: filled without a GPU, and moved to another folder.

In the cache every kernel has a folder, named by its key, in which ``__grp__NAME.json`` lists the kernel's
files by absolute path. What Triton needs to load a kernel is ``NAME.json`` (how to start it) and
``NAME.cubin`` (its machine code); the other files are stages in between. What starts a kernel is a C
module (``.so``) with a folder of its own.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from nb201env.processes import end_with_parent
from nb201env.training.gpu.variants import Variant, find_kernel, settle_keys

_GROUP = "__grp__"
_NEEDED = (".json", ".cubin", ".so")


class Compiled(NamedTuple):
    """How one variant went.

    Attributes:
        name: The kernel's.
        found: Whether it was in the cache.
        error: Why it did not compile, in a line; empty if it did.
    """

    name: str
    found: bool
    error: str


def compile_into(cache: Path, variants: Sequence[Variant], capability: int, jobs: int = 1) -> list[Compiled]:
    """Compile variants, except those that the cache has, and put them there.

    Args:
        cache: A folder; made if there is none.
        variants: What to compile.
        capability: Of the GPU: 90 for compute capability 9.0.
        jobs: Processes.

    Raises:
        ValueError: If a variant's kernel is not there, or its parameters are others.
        OSError: If the folder cannot be written.
        RuntimeError: If the compiler crashes, as Triton's does for some capabilities.
    """
    _check_writable(cache)
    for variant in variants:
        find_kernel(variant)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / "cache"
        install(cache, work)
        # Not forked: PyTorch may have been imported, and its threads do not survive it.
        settings = (work, capability, _make_libcuda(Path(temporary)))
        pool = ProcessPoolExecutor(min(jobs, len(variants) or 1), get_context("spawn"), _start, settings)
        try:
            with pool:
                done = list(pool.map(_compile, variants))
        except BrokenProcessPool as error:
            raise RuntimeError(
                f"a process ended while it compiled: either it was killed, or this Triton crashes when it "
                f"compiles for capability {capability}; try --jobs 1 or another Triton"
            ) from error
        install(work, cache)
    return done


def install(folder: Path, cache: Path) -> int:
    """Copy what Triton needs of a cache into another one, where Triton then finds it.

    Args:
        folder: A cache, made anywhere.
        cache: The other one; made if there is none. Kernels that it has are written again.

    Returns:
        How many kernels were copied.

    Raises:
        OSError: If a folder cannot be read or written.
    """
    sources, cache, kernels = sorted(folder.iterdir()), cache.absolute(), 0
    cache.mkdir(parents=True, exist_ok=True)
    for source in sources:
        files = [file for file in source.iterdir() if _needed(file)] if source.is_dir() else []
        if not files:
            continue
        target = cache / source.name
        target.mkdir(exist_ok=True)
        for file in files:
            shutil.copyfile(file, target / file.name)
        for group in source.glob(f"{_GROUP}*.json"):
            paths = {file.name: str(target / file.name) for file in files}
            (target / group.name).write_text(json.dumps({"child_paths": paths}), encoding="utf-8")
            kernels += 1
    return kernels


def _needed(file: Path) -> bool:
    return file.suffix in _NEEDED and not file.name.startswith(_GROUP)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"the folder {folder} cannot be written ({why}); choose another one") from error


class _NoGpu:
    """What Triton asks a GPU's driver when it compiles."""

    def __init__(self, capability: int) -> None:
        from triton.backends.compiler import GPUTarget

        self.target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> Any:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def _start(cache: Path, capability: int, libcuda: Path | None) -> None:
    """In a worker, before its first variant."""
    from triton import knobs
    from triton.runtime.driver import driver

    end_with_parent()
    # Newer versions warn that their default is a default; setting it would change the kernels' keys.
    warnings.filterwarnings("ignore", "TRITON_DEFAULT_FP_FUSION is unset")
    knobs.cache.dir = str(cache)
    driver.set_active(_NoGpu(capability))
    settle_keys()
    if libcuda:
        _build_starters_with(libcuda)


def _compile(variant: Variant) -> Compiled:
    with _watched() as hits:
        try:
            kernel = find_kernel(variant).warmup(*variant.arguments.values(), grid=(1,), **variant.options)
        except Exception as error:  # the compiler's own kinds, many of them; reported, and the rest goes on
            line = " ".join(str(error).split()) or type(error).__name__
            return Compiled(variant.name, False, line)
    _build_starter(kernel)
    return Compiled(variant.name, all(hits), "")


@contextlib.contextmanager
def _watched() -> Iterator[list[bool]]:
    """For every kernel that Triton compiles within it: whether the cache had it."""
    from triton import knobs

    hits: list[bool] = []
    knobs.compilation.listener = lambda *, cache_hit, **_: hits.append(cache_hit)
    try:
        yield hits
    finally:
        knobs.compilation.listener = None


def _make_libcuda(folder: Path) -> Path | None:
    """The folder with a library to link against in place of the GPU driver's: its names, and no code.

    None without a C compiler.
    """
    from triton.backends.nvidia import driver

    compiler = shutil.which("gcc") or shutil.which("clang")  # the ones that Triton looks for
    header = Path(driver.include_dirs[0], "cuda.h")
    if compiler is None or not header.is_file():
        return None
    names = sorted(set(re.findall(r"\bcu[A-Z]\w*", header.read_text(encoding="utf-8"))))
    source = folder / "libcuda.c"
    source.write_text("".join(f"void {name}(void) {{}}\n" for name in names), encoding="utf-8")
    flags = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(folder / "libcuda.so.1")]
    done = subprocess.run([compiler, str(source), *flags], capture_output=True, check=False)
    return folder if done.returncode == 0 else None


def _build_starters_with(libcuda: Path) -> None:
    """Let Triton build its C modules against this library, and keep them without loading them."""
    from triton import knobs
    from triton.backends.nvidia import driver
    from triton.runtime import build

    if hasattr(driver, "make_launcher"):
        knobs.nvidia.libcuda_path = str(libcuda)
        build._load_module_from_path = lambda name, path: ModuleType(name)
        _attempt(driver.CudaUtils)


def _build_starter(kernel: Any) -> None:
    """The C module that starts a kernel, where Triton's version has one for each."""
    from triton import knobs
    from triton.backends.nvidia import driver

    if knobs.nvidia.libcuda_path:
        _attempt(lambda: driver.CudaLauncher(kernel.src, kernel.metadata))


def _attempt(build: Callable[[], Any]) -> None:
    # The module is kept before Triton misses its functions. Where it cannot be built, for want of
    # Python's headers, the GPU's machine builds it, as it would without a cache.
    with contextlib.suppress(AttributeError, subprocess.CalledProcessError):
        build()
