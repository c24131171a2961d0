"""A lease of a GPU: minutes on a bare machine, spent in the order of what they are worth.

    python -m benchmarks.gpu_lease prepare --data CIFAR10 --reference REFERENCE.csv    # here
    python -m benchmarks.gpu_lease all --seconds 430 --out OUT                         # on the GPU's machine
    python -m benchmarks.gpu_lease collect OUT/lease.tar.gz                            # here again

The GPU's machine needs PyTorch, Triton and NumPy, no network and no installation: run it in a copy of the
checkout. Its stages, which are sub-commands too:

1. check: every kernel against the plain network (`nb201env.training.gpu.check`); a trainer that fails is
   not used;
2. rows: speeds (`benchmarks.speed.gpu`);
3. profile: where a step's time goes, kernel by kernel (`benchmarks.speed.gpu_profile`);
4. validate: official-12 against the official numbers (the study `official12`);
5. build: the classes of the study `small_space`, then shards of small-12 on 16-pixel images, and
   when all its seeds are there, of official-12.

Every stage runs apart and has a limit that ends it. What it finishes lies in the work folder at once, so
that a later call on the same machine goes on; archive and summary in the output folder are written
again after every stage. What was collected into ``builds/`` travels with the repository, and
the next machine goes on from there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import checkout
from benchmarks.checkout import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0, or 1 if a stage failed, or 2 if nothing could be begun."""
    missing = [name for name in ("numpy", "torch") if importlib.util.find_spec(name) is None]
    if missing:
        _end(f"{' and '.join(missing)} cannot be imported here; install PyTorch and NumPy")
    if not checkout.in_use():
        checkout.run("benchmarks.gpu_lease", sys.argv[1:] if arguments is None else arguments)
    a = _parser().parse_args(arguments)
    try:
        code: int = a.run(a)
    except (ValueError, OSError) as error:
        _end(str(error))
    return code


def _prepare(a: argparse.Namespace) -> int:
    from benchmarks.gpu_lease import pack

    kernels: Path | None = a.kernels
    if a.kernels_python:
        kernels = pack.compile_kernels(a.kernels_python, a.to / "kernels")
    repository = pack.repository_bytes()
    sizes = pack.pack(pack.Source(a.data, a.reference, kernels), a.to, repository)
    print(pack.itinerary(a.to, sizes, repository))
    return 0


def _collect(a: argparse.Namespace) -> int:
    from benchmarks.gpu_lease.collect import collect

    for line in collect(a.files, a.builds, a.cache) or ["no new shards"]:
        print(line)
    return 0


def _lease(a: argparse.Namespace) -> int:
    """One stage, or all of them."""
    from benchmarks.gpu_lease.lease import Lease
    from benchmarks.gpu_lease.run import run_stages
    from benchmarks.gpu_lease.targets import FULL, MINIATURE
    from nb201env.training.trainers import check_device

    check_device(a.device)
    todo = MINIATURE if a.miniature else FULL
    lease = Lease(a.device, a.work, a.out, a.parts, a.builds, todo, a.seconds)
    with ends_with_archive(), watched(lease.device, lease.work):
        return run_stages(lease, a.stages.split(","))


@contextlib.contextmanager
def ends_with_archive() -> Iterator[None]:
    """Being told to end is an exception, so that the archive is still written."""

    def stop(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def watched(device: str, work: Path) -> Iterator[None]:
    """Meanwhile, the GPU's load, clock, power and memory go into ``gpu.csv`` every 10 s."""
    program = shutil.which("nvidia-smi")
    if not device.startswith("cuda") or program is None:
        yield
        return
    work.mkdir(parents=True, exist_ok=True)
    query = "timestamp,utilization.gpu,clocks.sm,power.draw,memory.used"
    command = [program, f"--query-gpu={query}", "--format=csv,noheader", "-l", "10"]
    with open(work / "gpu.csv", "a") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_lease", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("prepare", help="pack what travels, in parts; needs no GPU")
    one.add_argument("--data", type=Path, required=True, help="CIFAR-10 as an .npz, or its files' folder")
    one.add_argument("--reference", type=Path, help="CSV of the official numbers, for validate")
    one.add_argument("--kernels-python", metavar="PYTHON", help="whose Triton compiles the kernels ahead")
    one.add_argument("--kernels", type=Path, help="a folder of kernels compiled ahead, in its place")
    one.add_argument("--to", type=Path, default=Path(".gpu"), help="where the parts go (default: .gpu)")
    one.set_defaults(run=_prepare)
    for name, what in (
        ("check", "which trainers are right on this machine"),
        ("rows", "how fast they are"),
        ("profile", "where a step's time goes"),
        ("validate", "official-12 against the official numbers"),
        ("build", "shards of the next table"),
        ("all", "all of these, each within its limit"),
    ):
        one = commands.add_parser(name, help=what)
        _add_lease_options(one)
        if name == "all":
            one.add_argument(
                "--stages", default="check,rows,profile,validate,build", help="which, if not all"
            )
            one.set_defaults(run=_lease)
        else:
            one.set_defaults(run=_lease, stages=name)
    one = commands.add_parser("collect", help="add what came back to builds/")
    one.add_argument("files", type=Path, nargs="+", help="archives, all pieces of those that were cut")
    one.add_argument("--builds", type=Path, default=ROOT / "builds", help="default: builds/")
    one.add_argument("--cache", type=Path, help="put the lease's Triton cache there, for prepare --kernels")
    one.set_defaults(run=_collect)
    return parser


def _add_lease_options(parser: argparse.ArgumentParser) -> None:
    work = Path(tempfile.gettempdir()) / "gpu_lease"
    parser.add_argument("--seconds", type=float, default=430, help="of this call, the archive included")
    parser.add_argument("--device", default="cuda", help="default: cuda")
    parser.add_argument("--work", type=Path, default=work, help="stays between calls")
    parser.add_argument("--out", type=Path, default=Path("runs/lease"), help="default: runs/lease")
    parser.add_argument("--parts", type=Path, default=Path(".gpu"), help="of prepare (default: .gpu)")
    parser.add_argument("--builds", type=Path, default=ROOT / "builds", help="default: builds/")
    parser.add_argument("--miniature", action="store_true", help="something that a CPU does in a minute")


def _end(message: str) -> NoReturn:
    print(f"gpu_lease: {message}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    sys.exit(main())
