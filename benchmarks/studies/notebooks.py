"""The tutorials as notebooks, made from the pages' own text.

    python -m benchmarks.studies notebooks page

Each block in Python is a cell of code, with what the page says it prints as its output. Commands that the
page shows with their output are cells that a notebook hands to the shell; all others stay examples.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from benchmarks.studies.pages import DOCS, END, Pages, writers

TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def page() -> Pages:
    """A notebook beside each tutorial."""
    return {path.with_suffix(".ipynb"): notebook(path) for path in TUTORIALS}


def notebook(path: Path) -> str:
    """The notebook of a page, as the JSON that its file holds."""
    made = new_notebook(
        cells=_cells(path.read_text(encoding="utf-8")),
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
    )
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"  # which nbformat draws at random
    nbformat.validate(made)
    return str(nbformat.writes(made)) + "\n"


def _cells(text: str) -> list[Any]:
    for study in writers(text):  # what the markers around a generated part say concerns the page's writer
        text = re.sub(rf"<!-- written by: .*{study} page -->\n\n", "", text)
    parts = _BLOCK.split(text.replace(f"{END}\n\n", ""))  # prose, language, block, prose, language, …
    cells = [_prose(parts[0])]
    for language, block, prose in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if language == "text" and cells[-1].cell_type == "code" and not cells[-1].outputs:
            cells[-1].outputs = [new_output("stream", name="stdout", text=block)]
        elif language == "python":
            cells.append(new_code_cell(block.rstrip("\n")))
        elif language == "console":
            cells.append(new_code_cell(_commands(block)))
        else:
            cells.append(new_markdown_cell(f"```{language}\n{block}```"))
        if prose.strip():
            cells.append(_prose(prose))
    return cells


def _commands(block: str) -> str:
    """The commands of a block that also shows what they print."""
    lines = block.splitlines()
    return "\n".join(f"!{line.removeprefix('$ ')}" for line in lines if line.startswith("$ "))


def _prose(text: str) -> Any:
    """Prose; links to other pages lead to nothing from a notebook, so their words stay alone."""
    return new_markdown_cell(re.sub(r"\[([^\]]+)\]\((?!https:)[^)]+\)", r"\1", text).strip())
