"""A folder with an agent of somebody's own, and a package that offers one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MINE = '''"""An agent."""

from dataclasses import dataclass

import numpy as np

from nb201env import Architecture
from nb201env.agents import query


@dataclass(frozen=True)
class MyAgent:
    """Random search, without the first architectures."""

    skip: int = 0

    def search(self, env, seed):
        rng = np.random.default_rng(seed)
        over = False
        while not over:
            over = query(env, Architecture.from_index(int(rng.integers(self.skip, 15_625)))).over


class Plain:
    PRESETS = {"large": {"size": 100}}

    def __init__(self, size=3, step=0.5, rule=print):
        self._size = size
        self.step = step / 2

    def search(self, env, seed):
        MyAgent(self._size).search(env, seed)
'''


def write_modules(folder: Path, **texts: str) -> Path:
    """Write mine.py, and others by name; the folder."""
    folder.mkdir(exist_ok=True)
    for name, text in ({"mine": MINE} | texts).items():
        (folder / f"{name}.py").write_text(text)
    return folder


def write_package(folder: Path, points: str, version: str = "1.2", name: str = "mymethods") -> Path:
    """Write an installed distribution that offers agents, one "name = Class" per line; the folder."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    (folder / f"{name}.py").write_text(MINE)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "top_level.txt").write_text(f"{name}\n")
    lines = (line.replace(" = ", f" = {name}:") for line in points.splitlines())
    (about / "entry_points.txt").write_text("\n".join(["[nb201.agents]", *lines]) + "\n")
    return folder


@contextmanager
def unchanged_imports(folder: Path) -> Iterator[None]:
    """Afterwards no module of the folder is loaded, and modules are looked for where they were."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(f"{folder}/"):
                del sys.modules[name]
