"""The report's numbers as CSV: one file per kind of row, in per cent and seconds."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from nb201env.agents.report.csv_rows import BAND, Row, curve_rows, improvement_rows, overall_rows, percent
from nb201env.agents.report.elsewhere import mean_of
from nb201env.agents.report.fronts.csv_files import FRONT_FILES
from nb201env.agents.report.summary import TARGETS, Summary
from nb201env.agents.report.words import in_csv
from nb201env.architecture import all_strings
from nb201env.space import official_ranks


def write_csv(summary: Summary, folder: Path) -> list[Path]:
    """Write all CSV files into a folder, those on fronts only if there are any; returns their paths."""
    files = _FILES | (FRONT_FILES if summary.fronts else {})
    return [_write(folder / f"{name}.csv", head, rows(summary)) for name, (head, rows) in files.items()]


def _write(path: Path, head: str, rows: Iterable[Row]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head.split())
        writer.writerows([_text(value) for value in row] for row in rows)
    return path


def _text(value: object) -> str:
    """Floats with 8 significant digits, which no reordered sum reaches; nothing for what is missing.

    Texts get a quote before what a spreadsheet would compute.
    """
    if isinstance(value, float):
        return "" if np.isnan(value) or np.isinf(value) else f"{value:.8g}"
    return str(value) if isinstance(value, int) else in_csv(str(value))


def _searches(summary: Summary) -> Iterator[Row]:
    names, official = all_strings(), official_ranks()
    for one in summary.settings:
        landscape = one.setting.landscape
        for agent in one.agents:
            for search, *hits in zip(agent.entry.searches, *agent.hits, strict=True):
                yield (
                    one.setting.name, agent.entry.label, search.seed, search.queries, float(search.clock[-1]),
                    100 * search.accuracy, 100 * search.test_accuracy, 100 * search.regret,
                    int(landscape.rank[search.chosen]), int(official[search.chosen]),
                    names[search.chosen], *(hit.queries for hit in hits), landscape.table.id,
                    *(hit.seconds for hit in hits),
                )  # fmt: skip


def _agents(summary: Summary) -> Iterator[Row]:
    for one in summary.settings:
        for agent in one.agents:
            test = np.full(1, np.nan) if agent.test is None else agent.test
            yield (
                one.setting.name, agent.entry.label, len(agent.entry.searches), agent.queries, agent.unique,
                agent.seconds, 100 * float(agent.valid.mean()), 100 * float(agent.valid.std()),
                100 * float(test.mean()), 100 * float(test.std()), *percent(agent.iqm), agent.rank,
                *percent(mean_of(test))[1:],
            )  # fmt: skip


def _elsewhere(summary: Summary) -> Iterator[Row]:
    for one in summary.settings:
        for found in one.elsewhere:
            table = found.place.table
            for agent, values in zip(one.agents, found.by_agent, strict=True):
                held = np.full(1, np.nan) if values is None else values
                yield (
                    one.setting.name, agent.entry.label, len(agent.entry.searches),
                    found.place.name, table.id, table.epochs, found.split,
                    100 * float(held.mean()), 100 * float(held.std()), *percent(mean_of(held))[1:],
                )  # fmt: skip


def _chosen(summary: Summary) -> Iterator[Row]:
    names = all_strings()
    for one in summary.settings:
        for found in one.elsewhere:
            table = found.place.table
            for agent, values in zip(one.agents, found.held, strict=True):
                for search, value in zip(agent.entry.searches, values.tolist(), strict=True):
                    yield (
                        one.setting.name, agent.entry.label, search.seed, names[search.chosen],
                        found.place.name, table.id, table.epochs, found.split, 100 * value,
                    )  # fmt: skip


def _reach(summary: Summary) -> Iterator[Row]:
    for one in summary.settings:
        for agent in one.agents:
            by_target = agent.reach, agent.reach_unique, agent.reach_seconds
            for (_, within), there, different, seconds in zip(TARGETS, *by_target, strict=True):
                yield (
                    one.setting.name, agent.entry.label, 100 * within, *there, different.mean,
                    seconds.median, *percent(there.share),
                )  # fmt: skip


def _curves(summary: Summary) -> Iterator[Row]:
    for one in summary.settings:
        for agent in one.agents:
            yield from curve_rows(one.setting.name, agent.entry.label, "queries", curve=agent.by_queries)
            yield from curve_rows(one.setting.name, agent.entry.label, "seconds", curve=agent.by_seconds)
        if one.random is not None:
            yield from curve_rows(one.setting.name, "random search, expected", "queries", curve=one.random)


def _profiles(summary: Summary) -> Iterator[Row]:
    for one in summary.settings:
        for agent in one.agents:
            profile = agent.profile
            for row in zip(profile.thresholds, profile.share, profile.low, profile.high, strict=True):
                yield one.setting.name, agent.entry.label, *(100 * float(value) for value in row)


_FILES: dict[str, tuple[str, Callable[[Summary], Iterable[Row]]]] = {
    "searches": (
        "environment agent seed queries gpu_seconds validation_percent test_percent regret_points rank "
        "official_index architecture queries_to_optimum queries_to_0.1 queries_to_0.3 table_id "
        "gpu_seconds_to_optimum gpu_seconds_to_0.1 gpu_seconds_to_0.3",
        _searches,
    ),
    "agents": (
        "environment agent searches queries architectures gpu_seconds validation_percent_mean "
        "validation_percent_sd test_percent_mean test_percent_sd regret_points_iqm low high median_rank "
        "test_percent_low test_percent_high",
        _agents,
    ),
    "elsewhere": (
        "environment agent searches looked_up_in table_id epochs split percent_mean percent_sd low high",
        _elsewhere,
    ),
    "chosen": (
        "environment agent seed architecture looked_up_in table_id epochs split percent",
        _chosen,
    ),
    "reach": (
        "environment agent within_points reached searches mean_queries median_queries longest_queries "
        "mean_architectures median_gpu_seconds percent_of_searches low high",
        _reach,
    ),
    "curves": (f"environment agent axis x {BAND}", _curves),
    "profiles": ("environment agent regret_points percent_of_searches low high", _profiles),
    "improvement": (
        "environment agent better_than percent low high",
        lambda summary: improvement_rows(summary.settings, summary.overall),
    ),
    "overall": (
        "agent regret_left_percent_iqm low high mean_rank critical_difference blocks friedman_p",
        lambda summary: overall_rows(summary.overall),
    ),
}
