"""Where an agent of one's own comes from: its class, its package's version, a digest of its code.

Texts for the header of a trajectory, by which one sees that two searches were made by the same program.
Nothing reads them back to import anything.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import Distribution, distribution, distributions, packages_distributions
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from urllib.request import url2pathname

ENTRIES = ("class", "distribution", "version", "code_sha256")


def source_of(agent_class: type[object]) -> dict[str, str]:
    """What a header says of an agent's class, by `ENTRIES`; nothing of a class of ours.

    "version" is that of the installed distribution, else the package's ``__version__``; each text is empty
    where there is nothing to say: a script's or notebook's class has neither version nor digest.
    """
    name = agent_class.__module__
    top = name.partition(".")[0]
    if top == "nb201env":
        return {}
    package, version, digest = "", "", ""
    module = sys.modules.get(name)
    if module is not None and name != "__main__" and top not in sys.stdlib_module_names:
        package, version = _version(module, sys.modules.get(top))
        digest = code_sha256(module)
    return dict(zip(ENTRIES, (f"{name}:{agent_class.__qualname__}", package, version, digest), strict=True))


# -- the version -----------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _version(module: ModuleType, top: ModuleType | None) -> tuple[str, str]:
    """The distribution that a module is of and its version; empty where there is none."""
    file = getattr(module, "__file__", None)
    owner = _distribution(Path(file), module.__name__.partition(".")[0]) if file else None
    if owner is not None:
        return owner.name, owner.version
    version = getattr(top, "__version__", "")
    return "", version if isinstance(version, str) else ""


def _distribution(file: Path, package: str) -> Distribution | None:
    """The installed distribution that a file of a package is of."""
    near = [one for one in distributions() if any(map(file.resolve().is_relative_to, _folders(one)))]
    for one in near:
        if package in (one.read_text("top_level.txt") or one.name.replace("-", "_")).split():
            return one
    # Few distributions keep no list of their packages; looking through their files takes a while.
    names = packages_distributions().get(package, []) if near else []
    return distribution(names[0]) if names else None


def _folders(one: Distribution) -> Iterator[Path]:
    """Where a distribution's files may be: beside its metadata, or in the folder where it is developed."""
    yield Path(str(one.locate_file(""))).resolve()
    url = json.loads(one.read_text("direct_url.json") or "{}").get("url", "")
    if url.startswith("file:"):
        yield Path(url2pathname(urlsplit(url).path)).resolve()


# -- the code --------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def code_sha256(module: ModuleType) -> str:
    """A digest of a module's code, from which comments, docstrings and the layout are left out.

    Whoever only explains the code better still has the same agent. Empty where there is no source.
    """
    file = getattr(module, "__file__", None)
    try:
        tree = ast.parse(Path(file or "").read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = [one for one in node.body if not _is_text(one)]
        text = ast.unparse(tree)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
