"""The fidelity report's figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nb201env.extras import require
from nb201env.surrogate.fidelity.baselines import SURROGATE
from nb201env.surrogate.metrics import LEVELS

_COLOURS = ("#2f6db5", "#d1495b", "#3a8f68", "#8e5aa8", "#b8860b", "#4a5560")
_STYLE = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#e4e7eb", "axes.axisbelow": True, "legend.frameon": False, "svg.hashsalt": "nb201",
}  # fmt: skip


def files(summary: Mapping[str, Any]) -> dict[str, str]:
    """The names and file names of the figures that `draw` draws of a summary."""
    names = ["learning", "calibration"] if _drawn_tables(summary) else []
    if summary.get("searches"):
        names.append("searches")
    return {name: f"surrogate-{name}.png" for name in names}


def _drawn_tables(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [table for table in summary["tables"] if SURROGATE in table["models"]]


def draw(summary: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Draw all figures that a summary has numbers for.

    Args:
        summary: What `nb201env.surrogate.fidelity.report.markdown` takes.
        folder: Where the PNG files go.

    Returns:
        The figures' names ("learning", "calibration", "searches") to their file names.

    Raises:
        MissingExtra: If matplotlib is not installed.
    """
    require("matplotlib", "plots").use("Agg")
    pyplot = require("matplotlib.pyplot", "plots")
    figures = {
        "learning": lambda: _learning(pyplot, _drawn_tables(summary)),
        "calibration": lambda: _calibration(pyplot, _drawn_tables(summary)),
        "searches": lambda: _searches(pyplot, summary["searches"]["trajectory_fidelity"]),
    }
    with pyplot.rc_context(_STYLE):
        for name, file in files(summary).items():
            figure = figures[name]()
            # No date and no version inside, so that the same numbers give the same bytes.
            figure.savefig(folder / file, dpi=110, metadata={"Software": None})
            pyplot.close(figure)
    return files(summary)


def _panels(pyplot: Any, count: int) -> tuple[Any, list[Any]]:
    figure, axes = pyplot.subplots(
        1, count, figsize=(1 + 3.6 * count, 3.8), squeeze=False, layout="constrained"
    )
    return figure, list(axes[0])


def _learning(pyplot: Any, tables: list[Mapping[str, Any]]) -> Any:
    """Kendall tau against training size, the surrogate beside the baselines and the noise ceiling."""
    figure, panels = _panels(pyplot, len(tables))
    for axes, table in zip(panels, tables, strict=True):
        for colour, (model, by_size) in zip(_COLOURS, table["models"].items(), strict=False):
            tau = [scores["kendall_tau"]["mean"] for scores in by_size.values()]
            own = model == SURROGATE
            axes.plot([int(n) for n in by_size], tau, "o-" if own else ".-", color=colour, label=model,
                      linewidth=2.2 if own else 1.1, markersize=4)  # fmt: skip
        if ceiling := table["ceilings"]["seed"].get("kendall_tau"):
            axes.axhline(ceiling, color="#4a5560", linestyle="--", linewidth=1, label="one seed for another")
        axes.set(xscale="log", ylim=(0.4, 1.0), title=table["name"], xlabel="training architectures")
    panels[0].set_ylabel("Kendall tau, held-out architectures")
    panels[0].legend(fontsize=8, loc="lower right")
    return figure


def _calibration(pyplot: Any, tables: list[Mapping[str, Any]]) -> Any:
    """Coverage of the predicted intervals against training size."""
    figure, panels = _panels(pyplot, len(tables))
    for axes, table in zip(panels, tables, strict=True):
        by_size = table["models"][SURROGATE]
        for colour, level in zip(_COLOURS, LEVELS, strict=False):
            covered = [scores[f"coverage_{100 * level:.0f}"]["mean"] for scores in by_size.values()]
            label = f"{100 * level:.0f} % interval"
            axes.plot([int(n) for n in by_size], covered, "o-", color=colour, label=label, markersize=4)
            axes.axhline(level, color=colour, linestyle=":", linewidth=1)
        axes.set(xscale="log", ylim=(0, 1.02), title=table["name"], xlabel="training architectures")
    panels[0].set_ylabel("held-out architectures inside")
    panels[0].legend(fontsize=8, loc="lower right")
    return figure


def _searches(pyplot: Any, fidelity: Mapping[str, Any]) -> Any:
    """Regret against queries: the band on the table, the means on table and surrogate."""
    agents = fidelity["agents"]
    figure, panels = _panels(pyplot, len(agents))
    queries = np.arange(1, fidelity["queries"] + 1)
    for axes, (name, one) in zip(panels, agents.items(), strict=True):
        low, high = (100 * np.array(one[key]) for key in ("table_low", "table_high"))
        axes.fill_between(
            queries, low, high, color=_COLOURS[5], alpha=0.15, linewidth=0, label="table, 5 to 95 %"
        )
        axes.plot(queries, 100 * np.array(one["table_mean"]), color=_COLOURS[5], label="table, mean")
        axes.plot(queries, 100 * np.array(one["surrogate_mean"]), color=_COLOURS[1], label="surrogate, mean")
        # A search that has found the optimum has regret 0, which a logarithmic axis cannot show.
        axes.set(xscale="log", title=name.replace("_", " "), xlabel="queries")
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panels[0].set_ylabel("regret (percentage points)")
    panels[0].legend(fontsize=8)
    return figure
