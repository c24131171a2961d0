"""A lease's summary in Markdown, made of what lies in its work folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu_lease.lease import Lease, covered
from benchmarks.jsonl import read_lines
from benchmarks.speed.gpu_profile import markdown
from nb201env.output import markdown_table

_ROW_COLUMNS = (
    ("ms/step and network", "each", 1e3, ".2f"),
    ("images/s", "images_per_second", 1, ",.0f"),
    ("architectures/h", "architectures_per_hour", 1, ",.0f"),
    ("of the floor", "of_floor", 100, ".0f %"),
    ("GB", "memory_gb", 1, ".1f"),
)  # heading, key of the bench's rows, factor, format


def summary(lease: Lease) -> str:
    """The page; every figure in it stands in one of the archive's files."""
    about = lease.about
    lines = [
        f"# A lease of {about['device']}",
        "",
        f"Begun {about['started']}; Python {about['python']}, PyTorch {about['torch']}, Triton "
        f"{about['triton']}, NumPy {about['numpy']}, {about['cores']} cores; sources {about['source'][:12]}.",
        "",
        *_stages(lease),
        *_rows(lease),
        *_profiles(lease),
        *_builds(lease),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _stages(lease: Lease) -> Iterator[str]:
    rows = [
        [line["stage"], line["outcome"], f"{line['seconds']:.0f}", line["text"]] for line in lease.outcomes()
    ]
    yield from (markdown_table(["stage", "how it ended", "seconds", ""], rows, "llrl"), "")


def _rows(lease: Lease) -> Iterator[str]:
    for file in sorted(lease.work.glob("rows-*.jsonl")):
        headings = [heading for heading, *_ in _ROW_COLUMNS]
        yield from (f"## Speed, {file.stem.removeprefix('rows-')}", "")
        rows = []
        for row in read_lines(file):
            if "step_seconds" in row:
                row["each"] = row["step_seconds"] / row["networks"]
            figures = [_figure(row, *column) for column in _ROW_COLUMNS]
            if row.get("error"):
                figures = [row["error"], *[""] * (len(_ROW_COLUMNS) - 1)]
            rows.append([str(row.get("trainer")), str(row.get("networks")), *figures])
        yield from (markdown_table(["trainer", "networks", *headings], rows, "lr"), "")


def _profiles(lease: Lease) -> Iterator[str]:
    for file in sorted(lease.work.glob("profile-*.json")):
        yield from (f"## Kernels of a step, {file.stem.removeprefix('profile-')}", "")
        yield from (*markdown(json.loads(file.read_text())), "")


def _figure(row: dict[str, Any], _: str, key: str, factor: float, form: str) -> str:
    value = row.get(key)
    number, _, unit = form.partition(" ")
    return "" if value is None else f"{factor * value:{number}}" + (f" {unit}" if unit else "")


def _builds(lease: Lease) -> Iterator[str]:
    plans = sorted(lease.work.glob("builds/*/plan.json"))
    if plans:
        yield from ("## Builds, earlier leases' shards included", "")
        yield from (f"- {_covered(plan.parent)}" for plan in plans)


def _covered(folder: Path) -> str:
    try:
        return covered(folder)
    except (ValueError, OSError) as error:  # the rest comes home all the same
        return f"{folder.name}: {error}"
