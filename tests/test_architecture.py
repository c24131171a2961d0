"""Who imports whom: no circle, and no arrow up. Imports inside functions count as well."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = {"nb201env": "nb201env", "nb201env.agents": "agents", "nb201env.surrogate": "surrogate",
           "nb201env.training": "training", "benchmarks": "benchmarks"}  # fmt: skip
CORE = "nb201env"
MAY_IMPORT = {
    "nb201env": set(),
    "nb201env.training": {CORE},
    "nb201env.surrogate": {CORE},
    "nb201env.agents": {CORE, "nb201env.training", "nb201env.surrogate"},
    "benchmarks": {CORE, "nb201env.training", "nb201env.surrogate", "nb201env.agents"},
}
"""Packages from the ground up, and what else each may import; docs/architecture.md says the same."""


@cache
def modules() -> dict[str, Path]:
    """Every module's file by name."""
    found = {}
    for package, folder in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = file
    return found


def package_of(module: str) -> str:
    return max((p for p in FOLDERS if module == p or module.startswith(f"{p}.")), key=len)


def imports(module: str) -> Iterator[str]:
    """The modules of ours that it imports, wherever in its text."""
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: imports name their module in full"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules() else str(node.module) for name in inside]
        else:
            continue
        yield from (name for name in names if name in modules())


@cache
def graph() -> dict[str, set[str]]:
    return {module: set(imports(module)) - {module} for module in modules()}


def test_the_graph_is_that_of_the_files() -> None:
    assert {"nb201env.envs.draws", "nb201env.envs.answers", "nb201env.table"} <= graph()[
        "nb201env.envs.ledger"
    ]
    assert "nb201env.agents.check" in graph()["nb201env.agents"]
    assert "nb201env.training.weights" not in modules()
    assert sum(map(len, graph().values())) > 600


def test_no_circle() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None


@pytest.mark.parametrize("package", FOLDERS)
def test_no_arrow_runs_up(package: str) -> None:
    wrong = [
        f"{module} imports {other}"
        for module, others in graph().items()
        for other in sorted(others)
        if package_of(module) == package and package_of(other) not in {package, *MAY_IMPORT[package]}
    ]
    assert not wrong


def room_of(module: str) -> str:
    """A module's own folder within its package; itself, where it stands beside the folders."""
    package = package_of(module)
    inside = module.removeprefix(package).lstrip(".").split(".")
    is_folder = (ROOT / FOLDERS[package] / inside[0]).is_dir() and inside != [""]
    return f"{package}.{inside[0]}" if is_folder else module


def test_no_circle_of_rooms() -> None:
    """Nor do two folders import each other, whichever of their modules do it."""
    rooms: dict[str, set[str]] = {}
    for module, others in graph().items():
        rooms.setdefault(room_of(module), set()).update(map(room_of, others))
    try:
        TopologicalSorter({room: others - {room} for room, others in rooms.items()}).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None


def test_a_search_knows_no_gymnasium() -> None:
    """Clock, budget, draws and answers of one search, and all that they stand on."""
    below, todo = set(), ["nb201env.envs.ledger"]
    while todo:
        module = todo.pop()
        below.add(module)
        assert "gymnasium" not in modules()[module].read_text(encoding="utf-8"), module
        todo += graph()[module] - below


PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_page_says_who_may_import_whom() -> None:
    _, _, table = PAGE.partition("## Who may import whom")
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", table.partition("## Words")[0], re.MULTILINE)
    assert {package: set(re.findall(r"`([\w.]+)`", others)) for package, others in rows} == MAY_IMPORT


def test_the_page_names_what_there_is() -> None:
    names = re.findall(r"`((?:[\w]+/)+(?:[\w.-]+)?|[\w/]+\.(?:py|toml))`", PAGE)
    assert len(names) > 40
    for name in names:
        places = [ROOT / folder / name for folder in (".", *FOLDERS.values())]
        known = any(place.exists() for place in places) or any(f.match(name) for f in modules().values())
        assert known, name
