"""The page docs/fidelity.md and its figures, generated from docs/data/fidelity.json.

``python -m benchmarks.studies.fidelity`` writes them again; with ``--from runs/surrogate/fidelity.json`` it
first takes over the numbers of an evaluation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.checkout import ROOT
from nb201env.surrogate.fidelity import figures, report

DOCS = ROOT / "docs"


def write_pages(docs: Path, source: Path | None = None) -> None:
    """Generate the page and its figures.

    Args:
        docs: The folder of the pages.
        source: A fidelity.json to take over; None generates from the one already there.
    """
    data = docs / "data" / "fidelity.json"
    for folder in (data.parent, docs / "figures"):
        folder.mkdir(parents=True, exist_ok=True)
    if source is not None:
        data.write_bytes(source.read_bytes())
    summary = json.loads(data.read_text(encoding="utf-8"))
    drawn = figures.draw(summary, docs / "figures")
    page = report.markdown(
        summary, {name: f"figures/{file}" for name, file in drawn.items()}, numbers="data/fidelity.json"
    )
    (docs / "fidelity.md").write_text(page, encoding="utf-8")


def main() -> None:
    """Generate docs/fidelity.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", type=Path, help="a fidelity.json to take over first")
    parser.add_argument("--docs", type=Path, default=DOCS)
    arguments = parser.parse_args()
    write_pages(arguments.docs, arguments.source)


if __name__ == "__main__":
    main()
