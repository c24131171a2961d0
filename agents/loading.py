"""Agents of one's own: the class that ``module:Class`` names, or one sentence that says why there is none.

The words come from whoever types them, on the command line or in a program, or from a package's entry point;
never from a file of results.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import sysconfig
import traceback
from types import ModuleType
from typing import Any

from nb201env.extras import MissingExtra, how_to_install

EXAMPLE = "module:Class, such as mine:MyAgent for the class MyAgent in mine.py"


def parse(where: str) -> tuple[str, str]:
    """The module and the class that ``module:Class`` names.

    Raises:
        ValueError: If it is written otherwise.
    """
    if not is_own(where):
        raise ValueError(f"an agent of your own is named {EXAMPLE}; got {where!r}")
    module, _, name = where.partition(":")
    return module, name


def is_own(name: str) -> bool:
    """Whether a name is ``module:Class``."""
    module, colon, cls = name.partition(":")
    return bool(colon) and all(map(str.isidentifier, (cls, *module.split("."))))


def look_in(folder: str) -> None:
    """Let modules be found in a folder, before all others; worker processes look there too."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def load_class(where: str, agent: str) -> type[Any]:
    """Import the class of an agent.

    Args:
        where: ``module:Class``.
        agent: The agent's name, for messages.

    Raises:
        ValueError: If it is written otherwise, there is no such module or class, or importing it fails.
        MissingExtra: If it needs a package that is not installed.
    """
    module_name, class_name = parse(where)
    module = _import(module_name, agent)
    found = getattr(module, class_name, None)
    if isinstance(found, type):
        return found
    file = _short(getattr(module, "__file__", None) or "no file")
    if found is not None:
        raise ValueError(
            f"agent {agent!r}: {class_name} in {file} is no class, but a {type(found).__name__}; "
            "name the class"
        )
    classes = [name for name, value in vars(module).items() if isinstance(value, type)]
    close = difflib.get_close_matches(class_name, classes, n=1)
    searching = [name for name in classes if callable(getattr(vars(module)[name], "search", None))]
    mend = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(searching) or 'no agent'}"
    raise ValueError(f"agent {agent!r}: module {module_name!r} ({file}) has no class {class_name!r}; {mend}")


def _import(name: str, agent: str) -> ModuleType:
    if name not in sys.modules:
        importlib.invalidate_caches()  # the file may be younger than the last look into its folder
    try:
        return importlib.import_module(name)
    except MissingExtra as error:
        raise MissingExtra(f"agent {agent!r}: {error}") from error
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):  # itself, or a package around it
            raise ValueError(_not_found(name, agent, error)) from error
        if error.name:
            package = error.name.partition(".")[0]
            raise MissingExtra(
                f"agent {agent!r} needs {error.name}, which is not installed{origin(error)}: "
                f"{how_to_install(package)}"
            ) from error
        raise ValueError(_failed(name, agent, error)) from error
    except (Exception, SystemExit) as error:
        raise ValueError(_failed(name, agent, error)) from error


def _not_found(name: str, agent: str, error: ModuleNotFoundError) -> str:
    why = "" if str(error) == f"No module named {name!r}" else f" ({error})"
    mend = "; leave out the ending .py" if name.endswith(".py") else ""
    return (
        f"agent {agent!r}: there is no module {name!r}{why}, neither in the current folder, {os.getcwd()}, "
        f"nor among the installed packages{mend}"
    )


def _failed(name: str, agent: str, error: BaseException) -> str:
    mend = "; put what it runs below if __name__ == '__main__'" if isinstance(error, SystemExit) else ""
    return f"agent {agent!r}: importing {name} raised {words(error)}{mend}"


def words(error: BaseException) -> str:
    """An error of code that is not ours, in one line: its kind, its message, its place."""
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    text = " ".join(message.split())
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    mend = f"; {how_to_install(missing.partition('.')[0])}" if missing else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{origin(error)}{mend}"


_LIBRARIES = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})


def origin(error: BaseException) -> str:
    """Where an error comes from, " (mine.py, line 3)": of the lines that led to it the last of no library."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({_short(error.filename)}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename != __file__ and not frame.filename.startswith("<frozen ")]  # fmt: skip
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    last = (own or frames)[-1:]
    return f" ({_short(last[0].filename)}, line {last[0].lineno})" if last else ""


def _short(file: str) -> str:
    """A file's path, from the current folder on if it is in there."""
    folder = os.getcwd() + os.sep
    return file.removeprefix(folder)
