"""Optional dependencies: import one, or say in one line how to install it."""

from __future__ import annotations

import importlib
import re
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from types import ModuleType


class MissingExtra(ImportError):
    """An optional dependency is missing; the message is the command that installs it."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: Its import name, such as "matplotlib".
        extra: The extra of this distribution that installs it, such as "plots".

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise MissingExtra(
            f"this needs {name}, which is not installed: pip install 'nb201env[{extra}]'"
        ) from error


def check(module: str, extra: str) -> None:
    """Check that an optional module is there, without importing it.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        there = find_spec(module) is not None
    except (ImportError, ValueError):  # something stands in for it
        there = False
    if not there:
        require(module, extra)


def how_to_install(module: str) -> str:
    """The command that installs a package: the extra of ours that it is in, else its own name."""
    wanted = _DISTRIBUTIONS.get(module, module).replace("_", "-").lower()
    try:
        requirements = requires("nb201env") or []
    except PackageNotFoundError:
        requirements = []
    for requirement in requirements:
        name, extra = re.match(r"[\w.-]+", requirement), re.search(r"extra == .(\w+).", requirement)
        if name and extra and name[0].lower() == wanted and extra[1] not in ("dev", "all"):
            return f"pip install 'nb201env[{extra[1]}]'"
    return f"pip install {_DISTRIBUTIONS.get(module, module)}"


_DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "PyYAML", "cv2": "opencv-python"}
"""Of well-known modules that are named otherwise than their distributions."""
