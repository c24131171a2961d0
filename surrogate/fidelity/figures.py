"""The fidelity report's figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nb201env import pictures
from nb201env.surrogate.fidelity.baselines import SURROGATE
from nb201env.surrogate.metrics import LEVELS

_TABLE, _SURROGATE = pictures.MUTED, pictures.RED
_OWN, _DASHED, _DOTTED = {"lw": 2.4, "ms": 5}, (0, (5, 2)), (0, (1, 2))
_MARKS = "osD^vX"


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
    pyplot = pictures.pyplot()
    figures = {
        "learning": lambda: _learning(pyplot, _drawn_tables(summary)),
        "calibration": lambda: _calibration(pyplot, _drawn_tables(summary)),
        "searches": lambda: _searches(pyplot, summary["searches"]["trajectory_fidelity"]),
    }
    for name, file in files(summary).items():
        pictures.save(figures[name](), folder / file, pyplot)
    return files(summary)


def _panels(pyplot: Any, count: int, height: float) -> tuple[Any, list[Any]]:
    figure, axes = pictures.new(pyplot, max(6.5, 0.4 + 3.4 * count), height, columns=count)
    return figure, list(axes[0])


def _finish(figure: Any, panels: list[Any], titles: list[str], columns: int) -> Any:
    """Titles; numbers in words that people read; scales beside the first panel alone, as all are the same."""
    for axes, title in zip(panels, titles, strict=True):
        axes.set(xscale="log", ylim=panels[0].get_ylim())
        pictures.plain_numbers(axes.xaxis)
        pictures.finish(axes, pictures.words(title))
        axes.label_outer()
    pictures.legend_below(figure, panels[0], columns=columns if len(panels) > 1 else 2, handlelength=3)
    return figure


def _shade(axes: Any, by_size: Mapping[str, Any], name: str, factor: float, colour: Any) -> None:
    """A score's mean over draws, plus and minus its standard deviation over them."""
    found = [scores[name] for scores in by_size.values()]
    mean, spread = (factor * np.array([one[key] for one in found]) for key in ("mean", "std"))
    axes.fill_between([int(n) for n in by_size], mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)


def _learning(pyplot: Any, tables: list[Mapping[str, Any]]) -> Any:
    """Kendall tau against training size, the surrogate beside the baselines and the noise ceiling.

    The surrogate's is shaded by a standard deviation over draws.
    """
    figure, panels = _panels(pyplot, len(tables), 4.9)
    lowest = 0.4
    for axes, table in zip(panels, tables, strict=True):
        for place, (model, by_size) in enumerate(table["models"].items()):
            tau = [scores["kendall_tau"]["mean"] for scores in by_size.values()]
            lowest = min(lowest, *tau)
            look = pictures.line(place) | {"marker": _MARKS[place % len(_MARKS)], "lw": 1.2, "ms": 3.5}
            axes.plot([int(n) for n in by_size], tau, label=model, zorder=4 if model == SURROGATE else 3,
                      **look | (_OWN if model == SURROGATE else {}))  # fmt: skip
            if model == SURROGATE:
                _shade(axes, by_size, "kendall_tau", 1, look["color"])
        if ceiling := table["ceilings"]["seed"].get("kendall_tau"):
            axes.axhline(ceiling, color=pictures.INK, ls=_DOTTED, lw=1.3, label="one seed for another")
        axes.set_xlabel("training architectures")
    panels[0].set(ylabel="Kendall's τ, held-out architectures", ylim=(lowest - 0.02, 1.0))
    return _finish(figure, panels, [table["name"] for table in tables], 4)


def _calibration(pyplot: Any, tables: list[Mapping[str, Any]]) -> Any:
    """Coverage of the predicted intervals against training size, shaded by a deviation over draws."""
    figure, panels = _panels(pyplot, len(tables), 4.6)
    for axes, table in zip(panels, tables, strict=True):
        by_size = table["models"][SURROGATE]
        for place, level in enumerate(LEVELS):
            covered = [100 * scores[f"coverage_{100 * level:.0f}"]["mean"] for scores in by_size.values()]
            colour = pictures.line(place)["color"]
            axes.plot([int(n) for n in by_size], covered, marker=_MARKS[place], ms=4, lw=1.6, color=colour,
                      label=f"{100 * level:.0f} % interval")  # fmt: skip
            _shade(axes, by_size, f"coverage_{100 * level:.0f}", 100, colour)
            axes.axhline(100 * level, color=colour, ls=_DOTTED, lw=1.3)
        axes.plot([], [], color=pictures.INK, ls=_DOTTED, lw=1.3, label="what each promises")
        axes.set_xlabel("training architectures")
    panels[0].set(ylabel="held-out architectures inside (%)", ylim=(0, 102))
    return _finish(figure, panels, [table["name"] for table in tables], 4)


def _searches(pyplot: Any, fidelity: Mapping[str, Any]) -> Any:
    """Regret against queries: the band on the table, the means on table and surrogate."""
    agents = fidelity["agents"]
    figure, panels = _panels(pyplot, len(agents), 4.2)
    queries = np.arange(1, fidelity["queries"] + 1)
    highest = 100 * max(max(one["table_high"]) for one in agents.values())
    for axes, one in zip(panels, agents.values(), strict=True):
        low, high = (100 * np.array(one[key]) for key in ("table_low", "table_high"))
        axes.fill_between(queries, low, high, color=_TABLE, alpha=0.18, lw=0, label="table, 5 to 95 %")
        for key, name, colour, dash in (
            ("table_mean", "table, mean", _TABLE, "-"),
            ("surrogate_mean", "surrogate, mean", _SURROGATE, _DASHED),
        ):
            axes.plot(queries, 100 * np.array(one[key]), color=colour, ls=dash, lw=1.6, label=name)
        # A search that has found the optimum has regret 0, which a logarithmic axis cannot show.
        axes.set_yscale("symlog", linthresh=0.1)
        pictures.plain_numbers(axes.yaxis)
        axes.set_xlabel("queries")
    panels[0].set(ylabel="regret (percentage points)", ylim=(0, 1.2 * highest))
    return _finish(figure, panels, [name.replace("_", " ") for name in agents], 3)
