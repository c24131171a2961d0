"""Optional dependencies: import one, or say in one line how to install it."""

from __future__ import annotations

import importlib
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
