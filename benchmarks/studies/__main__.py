"""The studies behind the pages of docs/: each computes data, and writes its part of a page from them.

    python -m benchmarks.studies                   lists them
    python -m benchmarks.studies NAME run …        computes a study's data; --help says with which options
    python -m benchmarks.studies NAME page         writes its pages and figures from the committed data
    python -m benchmarks.studies page              writes those of all studies

A study is a module of this folder with one or both of

- ``options(parser)`` and ``run(options)``: adds its options, and computes with them;
- ``page()``: returns whole pages by their path; beside it may stand ``figures(folder)``, which draws.

Only the study that is named is imported, so each runs wherever its own imports are there.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from benchmarks.studies.pages import DOCS, FIGURES

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("[a-z]*.py") if path.stem != "pages"))


def summary(name: str) -> str:
    """The first line of a study's docstring, read without importing it."""
    source = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(source) or "").partition("\n")[0]


def study(name: str) -> ModuleType:
    """Import a study."""
    return import_module(f"benchmarks.studies.{name}")


def write(name: str) -> None:
    """Write a study's pages and figures; nothing if it has none."""
    module = study(name)
    if not hasattr(module, "page"):
        return
    for path, text in module.page().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(DOCS.parent), flush=True)
    if hasattr(module, "figures"):
        module.figures(FIGURES)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        print("\n".join(f"{name:15} {summary(name)}" for name in NAMES))
    elif words == ["page"]:
        for name in NAMES:
            write(name)
    else:
        _one(words)


def _one(words: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", choices=NAMES)
    parser.add_argument("what", choices=("run", "page"))
    chosen = parser.parse_args(words[:2])
    module = study(chosen.study)
    if not hasattr(module, chosen.what):
        parser.error(f"the study {chosen.study} has no {chosen.what}: {summary(chosen.study)}")
    of_study = argparse.ArgumentParser(
        prog=f"python -m benchmarks.studies {chosen.study} {chosen.what}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if chosen.what == "run":
        module.options(of_study)
    options = of_study.parse_args(words[2:])
    if chosen.what == "run":
        try:
            module.run(options)
        except (FileNotFoundError, ImportError, ValueError) as error:
            of_study.error(str(error))
    else:
        write(chosen.study)


if __name__ == "__main__":
    main()
