"""Run what stands in this checkout where nothing is installed, as on a leased GPU's machine.

    python3 benchmarks/checkout.py nb201env.training.gpu.check --device cuda    # a module with its arguments
    python3 benchmarks/checkout.py                                              # print a fit PYTHONPATH

The folders ``agents``, ``surrogate`` and ``training`` beside ``nb201env`` are packages of it, and an
installation puts them together. Here a folder of links does, which mypy reads, too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]


def lay_out(root: Path = ROOT) -> Path:
    """Write the folder of links, or correct it; returns its path, in which ``nb201env`` is complete."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    folders: dict[str, str] = project["tool"]["setuptools"]["package-dir"]
    inside = {name.partition(".")[2]: root / folder for name, folder in folders.items()}
    wanted = {entry.name: entry for entry in (root / "nb201env").iterdir()} | inside
    package = root / "build" / "checkout" / "nb201env"
    package.mkdir(parents=True, exist_ok=True)
    for link in package.iterdir():
        if not link.exists() or link.name not in wanted:
            link.unlink(missing_ok=True)
    for name, target in wanted.items():
        with contextlib.suppress(FileExistsError):
            (package / name).symlink_to(os.path.relpath(target, package))
    return package.parent


def environment(root: Path = ROOT) -> dict[str, str]:
    """This process's environment, but Python takes ``nb201env`` and ``benchmarks`` from a checkout."""
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": f"{lay_out(root)}{os.pathsep}{root}"}


def in_use(root: Path = ROOT) -> bool:
    """Whether ``import nb201env.training`` takes this checkout's, rather than none or another one's."""
    found = importlib.util.find_spec("nb201env.training")
    return found is not None and Path(str(found.origin)).resolve().is_relative_to(root)


def run(module: str, arguments: Sequence[str]) -> NoReturn:
    """Run a module in place of this process."""
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment())


if __name__ == "__main__":
    if sys.argv[1:]:
        run(sys.argv[1], sys.argv[2:])
    print(environment()["PYTHONPATH"])
