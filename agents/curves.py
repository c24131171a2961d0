"""From trajectories to numbers and pictures: what a search found, and its regret over time."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.random_search import expected_best
from agents.registry import display_name
from agents.trajectory import Trajectory
from nb201env.extras import require
from nb201env.space import Architecture
from nb201env.table import FloatArray, Table
from nb201env.tables import open_table

COLOURS = ("#2f6db5", "#d1495b", "#3a8f68", "#8e5aa8", "#b8860b", "#4a5560")


@dataclass(frozen=True)
class Outcome:
    """What one search found.

    Attributes:
        queries: How many it asked.
        gpu_hours: Simulated, from the clock.
        accuracy: The incumbent's mean validation accuracy over the table's runs, a fraction. (The
            single run that made it the incumbent is a lucky one more often than not.)
        regret: The table's optimum minus that.
        architecture: The incumbent.
    """

    queries: int
    gpu_hours: float
    accuracy: float
    regret: float
    architecture: Architecture


def table_of(trajectory: Trajectory) -> Table:
    """The table that a trajectory was recorded on.

    Raises:
        ValueError: If the table of that name is another one now.
    """
    table = open_table(trajectory.header["env"]["kwargs"]["table"])
    if table.id != trajectory.header["table"]["id"]:
        raise ValueError(f"the table {table.name} has changed since this trajectory was recorded")
    return table


def outcome(trajectory: Trajectory) -> Outcome:
    """What one search found.

    Raises:
        ValueError: If it asked no query.
    """
    if not trajectory.queries:
        raise ValueError("this search asked no query: its budget does not cover one")
    incumbent = int(trajectory.incumbents()[-1])
    regret = regret_by_query(trajectory)
    table = table_of(trajectory)
    return Outcome(
        queries=len(trajectory.queries),
        gpu_hours=float(trajectory.clock[-1]) / 3600,
        accuracy=_optimum(table) - float(regret[-1]),
        regret=float(regret[-1]),
        architecture=Architecture.from_index(incumbent),
    )


def regret_by_query(trajectory: Trajectory) -> FloatArray:
    """The incumbent's regret after every query, a fraction; float64 [queries]."""
    table = table_of(trajectory)
    mean = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    return _optimum(table) - mean[trajectory.incumbents()]


def random_search_regret(table: Table, queries: int) -> FloatArray:
    """Random search's expected regret after 1 .. `queries` queries, in closed form."""
    return _optimum(table) - expected_best(table, np.arange(1, queries + 1), epochs=table.epochs)


def _optimum(table: Table) -> float:
    return table.optimum(split="valid", epochs=table.epochs)[1]


Searches = Mapping[str, Sequence[Trajectory]]
"""Trajectories by agent; all on one table."""


def write_csv(path: Path, searches: Searches) -> None:
    """One row per agent and query: regret in per cent and simulated GPU hours, over the searches."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["agent", "query", "searches", "regret_percent_mean", "regret_percent_q25",
             "regret_percent_q75", "gpu_hours_mean"]
        )  # fmt: skip
        for agent, runs in searches.items():
            regret, hours = _aligned(runs)
            low, high = np.quantile(regret, [0.25, 0.75], axis=0)
            for i in range(regret.shape[1]):
                numbers = (regret[:, i].mean(), low[i], high[i])
                writer.writerow(
                    [
                        agent,
                        i + 1,
                        len(runs),
                        *(f"{100 * x:.4f}" for x in numbers),
                        f"{hours[:, i].mean():.3f}",
                    ]
                )


def plot(path: Path, searches: Searches, title: str) -> None:
    """Regret against queries and against simulated GPU days, as PNG.

    Raises:
        MissingExtra: If matplotlib is not installed.
    """
    matplotlib = require("matplotlib", "plots")
    matplotlib.use("Agg")
    pyplot = require("matplotlib.pyplot", "plots")
    style = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
             "grid.color": "#e4e7eb", "axes.axisbelow": True}  # fmt: skip
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
        _draw_against_queries(axes[0], searches)
        _draw_against_days(axes[1], searches)
        for one in (axes[0].xaxis, axes[1].xaxis, axes[0].yaxis):
            one.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axes[0].set_ylabel("regret of the incumbent (percentage points)")
        axes[0].legend(frameon=False, loc="lower left")
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        figure.savefig(path, dpi=150)
        pyplot.close(figure)


def _draw_against_queries(axes: Any, searches: Searches) -> None:
    longest = 1
    for colour, (agent, runs) in zip(COLOURS, searches.items(), strict=False):
        regret, _ = _aligned(runs)
        longest = max(longest, regret.shape[1])
        x = np.arange(1, regret.shape[1] + 1)
        low, high = np.quantile(regret, [0.25, 0.75], axis=0)
        axes.fill_between(x, 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, 100 * regret.mean(axis=0), color=colour, linewidth=1.8, label=display_name(agent))
    expected = random_search_regret(table_of(next(iter(searches.values()))[0]), longest)
    axes.plot(
        np.arange(1, longest + 1), 100 * expected, "--", color="#4a5560", linewidth=1.2,
        label="random search, expected",
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="queries")


def _draw_against_days(axes: Any, searches: Searches) -> None:
    for colour, runs in zip(COLOURS, searches.values(), strict=False):
        regret, hours = _aligned(runs)
        axes.plot(hours.mean(axis=0) / 24, 100 * regret.mean(axis=0), color=colour, linewidth=1.8)
    axes.set(xscale="log", yscale="log", xlabel="simulated GPU days")


def _aligned(runs: Sequence[Trajectory]) -> tuple[FloatArray, FloatArray]:
    """Regret and GPU hours of several searches, [searches, queries], up to the shortest one's end."""
    length = min(len(run.queries) for run in runs)
    regret = np.array([regret_by_query(run)[:length] for run in runs])
    hours = np.array([run.clock[:length] for run in runs]) / 3600
    return regret, hours
