"""How faithful the surrogate is: docs/fidelity.md and its figures.

``run`` does what the commands `COMMAND` and `SEARCHES` do, in the folder ``--out`` (half an hour; resumable),
and takes over the numbers.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.studies.pages import DATA, DOCS, Pages, part, read_data
from nb201env.agents.searches.fidelity import SearchPlan, compare
from nb201env.envs.registration import OFFICIAL
from nb201env.surrogate.fidelity import report
from nb201env.surrogate.fidelity.evaluate import Plan, add_searches, evaluate
from nb201env.surrogate.fidelity.figures import draw, files

NUMBERS, PAGE = DATA / "fidelity.json", DOCS / "fidelity.md"
TABLES, SURROGATE = tuple(OFFICIAL.values()), "cifar10-valid-200-surrogate"
COMMAND = (
    f"nb201 surrogate evaluate {' '.join(f'--table {name}' for name in TABLES)} --split valid --epochs 200"
)
SEARCHES = f"nb201 fidelity --table {SURROGATE}"


def committed() -> dict[str, Any]:
    """The committed numbers."""
    summary: dict[str, Any] = read_data(NUMBERS)
    return summary


def page() -> Pages:
    """The page, all of which is generated."""
    summary = committed()
    drawn = {name: f"figures/{file}" for name, file in files(summary).items()}
    text = report.markdown(summary, drawn, numbers="data/fidelity.json")
    return {PAGE: part("fidelity", text) + "\n"}


def figures(folder: Path) -> None:
    """Draw the page's figures into a folder."""
    draw(committed(), folder)


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--out", type=Path, default=Path("runs/surrogate"), help="for what is measured")
    parser.add_argument("--json", type=Path, default=NUMBERS, help="the numbers")


def run(a: argparse.Namespace) -> None:
    """Measure what is missing, run the searches that are missing, and take over the numbers."""
    say = partial(print, flush=True)
    evaluate(Plan(TABLES, split="valid", epochs=200, out=a.out, command=COMMAND), say)
    add_searches({"command": SEARCHES} | compare(SearchPlan(SURROGATE), a.out, say), a.out)
    a.json.write_bytes((a.out / "fidelity.json").read_bytes())
