"""Where a report's numbers come from: tables, software, trajectories and the commands that made them."""

from __future__ import annotations

import re
import shlex

from nb201env.agents.report.data import Entry
from nb201env.agents.report.grid import Grid
from nb201env.agents.report.summary import Summary
from nb201env.agents.report.tables import budget_text, cell
from nb201env.agents.report.words import NOT_RECORDED, NOT_SHOWN, own_command
from nb201env.output import named, plain
from nb201env.reading import format_seeds

_SEEDS = re.compile(r"^((?:[^'\"\\]|'[^']*')*? --seeds )[0-9,-]+(?= |$)")


def sources(summary: Summary) -> Grid:
    """The tables behind the numbers."""
    rows = []
    for setting in summary.bench.settings:
        table = setting.landscape.table
        searches = sum(len(entry.searches) for entry in setting.entries)
        recorded = NOT_RECORDED if setting.landscape.test is None else "recorded"
        rows.append((setting.name, budget_text(setting), cell(searches), named(table.name),
                     named(table.manifest.get("kind", "measured")), recorded, table.id))  # fmt: skip
    return Grid(
        "",
        ("environment", "budget", "searches", "table", "kind", "test accuracy", "id (sha256)"),
        tuple(rows),
    )


def versions(summary: Summary) -> str:
    """The software that the searches ran with."""
    recorded = {pair for search in summary.bench.searches for pair in search.header["versions"].items()}
    found: dict[str, set[str]] = {}
    for name, version in recorded:
        found.setdefault(named(name), set()).add(named(version))
    return ", ".join(f"{name} {' and '.join(sorted(versions))}" for name, versions in sorted(found.items()))


def sentences(summary: Summary, command: str) -> list[str]:
    """Where every number comes from, in sentences."""
    bench = summary.bench
    lines = [
        f"Computed from {len(bench.searches):,} trajectories alone (sha256 over their files: {bench.digest}) "
        "and the tables they name.",
        "Every trajectory was replayed against its table without a difference."
        if bench.replayed
        else "The trajectories were not replayed for this report (`nb201 report --replay` does it).",
        f"The searches ran with {versions(summary)}.",
        f"The report: {_code(command)}.",
    ]
    if used := {one.place.name: one.place.table for s in summary.settings for one in s.elsewhere}:
        tables = ", ".join(f"{name} (id {table.id[:16]})" for name, table in used.items())
        lines.insert(2, f"What was chosen was looked up in {tables}.")
    if bench.unfinished:
        lines.insert(
            1, f"Searches cut short, not part of any number: {', '.join(map(named, bench.unfinished))}."
        )
    return lines


def _code(command: str) -> str:
    """A command as code, if it holds no mark of code itself."""
    return plain(command) if "`" in command else f"`{plain(command)}`"


def command(entry: Entry) -> str:
    """One command for all searches of an entry, if their own commands differ in the seed alone."""
    seeds, recorded = format_seeds(entry.seeds), [search.header["command"] for search in entry.searches]
    merged = list(dict.fromkeys(_for_seeds(one, seeds) for one in recorded))
    if remarks := {NOT_RECORDED, NOT_SHOWN}.intersection(map(own_command, merged)):
        return min(remarks)
    return merged[0] if len(merged) == 1 else "; ".join(recorded)


def _for_seeds(command: str, seeds: str) -> str:
    """The command with other seeds, if it is one of ours and names any."""
    # Few commands are quoted otherwise than this, and to take one apart takes a hundred times as long.
    changed, found = _SEEDS.subn(rf"\g<1>{seeds}", command, count=1)
    if found or own_command(command) != command:
        return changed
    words = shlex.split(command)
    if "--seeds" in words[:-1]:
        words[words.index("--seeds") + 1] = seeds
    return shlex.join(words)
