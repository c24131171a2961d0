"""Figures of tables: landscape, histogram, seeds, the ops' effects, ranks across data sets, learning curves.

Needs matplotlib (extra ``plots``). Every function returns the figure's data too, so that nothing
shown has to be read off a picture.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import representatives
from nb201env.comparison import costs, final_accuracy, in_words, kendall, pareto, readable, unit_of
from nb201env.extras import require
from nb201env.files import appearing
from nb201env.missing import not_recorded
from nb201env.output import plain
from nb201env.space import CONV3X3, EDGES, OPS, SIZE, all_ops
from nb201env.table import NotRecorded, Table, mean_over_runs

INK, MUTED, GRID = "#1f2933", "#66727f", "#e3e8ed"
BLUE, ORANGE, GREEN, RED, PURPLE = "#2b6cb0", "#dd6b20", "#2f855a", "#c53030", "#6b46c1"
_LINES = (BLUE, ORANGE, GREEN, PURPLE, RED, MUTED)
OP_NAMES = ("none", "skip", "conv 1×1", "conv 3×3", "pool 3×3")

WORDS = {"macs": "multiply-accumulates", "params": "parameters"}


class Axis(NamedTuple):
    """One number of every architecture, to be drawn.

    Attributes:
        name: What it is called in a message: "valid accuracy", or the column's name.
        values: In the table's unit; float64 [15625].
        unit: That unit.
        shown: The values in a unit of a size that people read.
        label: What it is, with that unit.
        epochs: After how many epochs it was recorded; None for a property of the architecture.
    """

    name: str
    values: FloatArray
    unit: str
    shown: FloatArray
    label: str
    epochs: int | None

    @classmethod
    def of(cls, table: Table, column: str) -> Axis:
        """A cost, or a column after its last recorded epoch, the mean over runs.

        Raises:
            NotRecorded: If the table has no such column.
        """
        column = "latency_seconds" if column == "latency" else column
        name, epochs = column, None
        recorded = table.recorded_epochs(column) if column in table.columns else ()
        if column.endswith("_accuracy") and (recorded or column not in table.columns):
            name = column.replace("_", " ")
            values, epochs = final_accuracy(table, column.removesuffix("_accuracy"))
        elif recorded:
            values, epochs = table.values(column, epochs=recorded[-1]), recorded[-1]
            values = values if values.ndim == 1 else mean_over_runs(values)
        else:
            values = costs(table, column)
        unit = unit_of(table, column)
        shown, word = readable(values, unit)
        words = WORDS.get(column, in_words(column))
        return cls(name, values, unit, shown, _text(f"{words} ({word})" if word else words), epochs)


def landscape(
    table: Table, path: str | os.PathLike[str], *, split: str, x: str = "macs", y: str | None = None
) -> dict[str, Any]:
    """All architectures, one number against another; accuracy against a cost has its Pareto front.

    Args:
        table: Whose.
        path: Where the picture goes.
        split: Of the accuracy, where `y` is None.
        x, y: A cost of the table (see `nb201env.comparison.cost_names`) or another column after its last
            epoch.

    Returns:
        The units, how many architectures have both, Kendall's tau, and the front where there is one.

    Raises:
        NotRecorded: If the table lacks one of them, or has both of no architecture.
    """
    up, across = Axis.of(table, y or f"{split}_accuracy"), Axis.of(table, x)
    both = ~(np.isnan(across.values) | np.isnan(up.values))
    if not both.any():
        raise NotRecorded(f"{table.name} has {up.name} and {across.name} of no architecture")
    tau = kendall(across.values[both], up.values[both])
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8, 5))
    _scatter(plt, figure, axes, across, up)
    data: dict[str, Any] = {"architectures": int(both.sum()), "kendall": tau, "x": x, "y": y or "accuracy"}
    data["units"] = {data["x"]: across.unit, data["y"]: up.unit}
    if up.unit == "fraction" and across.epochs is None:
        front = _draw_front(axes, across, up)
        data["front"] = [
            {"architecture": str(Architecture.from_index(i)), data["x"]: float(across.values[i]),
             data["y"]: float(up.values[i])} for i in front.tolist()
        ]  # fmt: skip
        _finish(axes, _title(table, up.epochs))
    else:
        _finish(axes, f"{_text(table.name)}: Kendall's τ = {tau:.3f}")
    _save(figure, path, plt)
    return data


def _scatter(plt: Any, figure: Any, axes: Any, across: Axis, up: Axis) -> None:
    convolutions = (all_ops() == CONV3X3).sum(axis=1)
    order = np.random.default_rng(0).permutation(SIZE)
    shown = _spread(across.shown)
    dots = axes.scatter(shown[order], up.shown[order], c=convolutions[order], s=7, alpha=0.55,
                        linewidths=0, cmap="viridis", vmin=-0.5, vmax=6.5, rasterized=True)  # fmt: skip
    solid = plt.cm.ScalarMappable(norm=dots.norm, cmap=dots.cmap)  # not half-transparent, as the dots are
    bar = figure.colorbar(solid, ax=axes, boundaries=np.arange(-0.5, 6.6), ticks=range(7), pad=0.02)
    bar.set_label("3×3 convolutions in the cell", color=INK)
    bar.outline.set_visible(False)
    axes.set_xlabel(across.label if shown is across.shown else f"{across.label}; dots spread sideways")
    axes.set_ylabel(up.label)


def _draw_front(axes: Any, across: Axis, up: Axis) -> IntArray:
    """The Pareto front of low cost and high accuracy, drawn: its architectures in rising order of cost."""
    front = pareto(across.values, up.values)
    x, y = across.shown[front], up.shown[front]
    axes.step(x, y, where="post", color=RED, lw=1.6)
    axes.plot(x, y, "o", color=RED, ms=4.5, mec="white", mew=0.7, label="Pareto front")
    axes.annotate(f"best: {y[-1]:.2f} %", (x[-1], y[-1]), xytext=(-6, 10), textcoords="offset points",
                  ha="right", color=RED, fontsize=9)  # fmt: skip
    low, high = _limits(up.shown)
    axes.set_ylim(low, high)
    below = int((up.shown < low).sum())
    title = f"{below} architectures below {low:.0f} % are not shown" if below else None
    axes.legend(loc="lower right", title=title, alignment="right", framealpha=0.85, edgecolor="none")
    return front


def histogram(table: Table, path: str | os.PathLike[str], *, split: str) -> dict[str, Any]:
    """How many canonical classes reach which accuracy; returns the quantiles.

    Of every canonical class its first member counts, once.

    Raises:
        NotRecorded: If the table has the accuracy of none of them.
    """
    accuracy, epochs = final_accuracy(table, split)
    held = accuracy[representatives()]
    held = held[~np.isnan(held)]
    if not len(held):
        raise NotRecorded(f"{table.name} has the {split} accuracy of no canonical class's first member")
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8, 3.6))
    axes.hist(100 * held, bins=min(60, len(np.unique(held))), color=BLUE, alpha=0.85, lw=0)
    quantiles = {f"{q:.0%}": float(np.quantile(held, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)}
    for share, color in (("50%", ORANGE), ("100%", RED)):
        name = "median" if share == "50%" else "best"
        axes.axvline(100 * quantiles[share], color=color, lw=1.6, label=f"{name} {quantiles[share]:.2%}")
    axes.set_xlabel(f"{split} accuracy (%)")
    axes.set_ylabel("canonical classes")
    axes.legend(frameon=False, loc="upper left")
    _finish(axes, _title(table, epochs))
    _save(figure, path, plt)
    return {"classes": len(held), "quantiles": quantiles}


def seeds(table: Table, path: str | os.PathLike[str], *, split: str) -> dict[str, Any]:
    """One seed's accuracies against another's, for every pair of seeds, with Kendall's tau.

    Of every canonical class its first member counts, once.

    Raises:
        NotRecorded: If the table has one seed only, or means over runs.
    """
    if len(table.seeds) < 2:
        held = f"the seed {table.seeds[0]} only" if table.seeds else "means over runs only"
        raise NotRecorded(f"{table.name} has {held}; comparing seeds needs two")
    epochs = table.recorded_epochs(f"{split}_accuracy")[-1]
    runs = table.runs(split=split, epochs=epochs)[representatives()]
    pairs = list(combinations(range(len(table.seeds)), 2))
    plt = _pyplot()
    figure, grid = plt.subplots(1, len(pairs), figsize=(0.6 + 4.2 * len(pairs), 4.4), squeeze=False)
    taus = {}
    for axes, (one, two) in zip(grid[0], pairs, strict=True):
        x, y = runs[~np.isnan(runs[:, [one, two]]).any(axis=1)][:, [one, two]].T
        name = f"{table.seeds[one]}, {table.seeds[two]}"
        tau = taus[name] = kendall(x, y)
        axes.hexbin(100 * x, 100 * y, gridsize=45, cmap="Blues", bins="log", mincnt=1, linewidths=0.1)
        axes.axline((100 * x.mean(), 100 * x.mean()), slope=1, color=RED, lw=1, ls=(0, (4, 3)))
        axes.set_xlabel(f"seed {table.seeds[one]}: {split} accuracy (%)")
        axes.set_ylabel(f"seed {table.seeds[two]}: {split} accuracy (%)")
        axes.set_aspect("equal")
        _finish(axes, f"Kendall's τ = {tau:.3f}")
    _save(figure, path, plt)
    return {"kendall": taus, "classes": len(runs)}


def ops(table: Table, path: str | os.PathLike[str], *, split: str) -> dict[str, Any]:
    """Each op on each edge: mean accuracy of the architectures that have it, against the mean of all."""
    accuracy, epochs = final_accuracy(table, split)
    effects = op_effects(accuracy)
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8, 4.4))
    most = float(np.nanmax(np.abs(effects))) * 100
    image = axes.imshow(100 * effects.T, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
    for edge in range(len(EDGES)):
        for op in range(len(OPS)):
            value = 100 * effects[edge, op]
            color = "white" if abs(value) > 0.6 * most else INK
            axes.text(edge, op, f"{value:+.2f}", ha="center", va="center", color=color, fontsize=9.5)
    axes.set_xticks(range(len(EDGES)), [f"{a} → {b}" for a, b in EDGES])
    axes.set_yticks(range(len(OPS)), OP_NAMES)
    axes.set_xlabel("edge (from node → to node; 0 is the input, 3 the output)")
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("percentage points against the mean")
    bar.outline.set_visible(False)
    _finish(axes, f"Effect of an op on an edge on {split} accuracy: {_title(table, epochs)}", grid=False)
    _save(figure, path, plt)
    return {
        "effects": {
            f"{a}->{b}": dict(zip(OPS, effects[e].tolist(), strict=True)) for e, (a, b) in enumerate(EDGES)
        }
    }


def op_effects(accuracy: FloatArray) -> FloatArray:
    """Mean accuracy with an op on an edge minus the mean of all; float64 [6 edges, 5 ops]."""
    held = ~np.isnan(accuracy)
    chosen = all_ops()[held]
    return np.asarray(np.array([
        [accuracy[held][chosen[:, edge] == op].mean() if (chosen[:, edge] == op).any() else np.nan
         for op in range(len(OPS))]
        for edge in range(len(EDGES))
    ]) - accuracy[held].mean())  # fmt: skip


def ranks(tables: Sequence[Table], path: str | os.PathLike[str], *, split: str) -> dict[str, Any]:
    """Ranks of all architectures in each table against those in the first.

    Raises:
        ValueError: If there are fewer than two tables, or of fewer than two architectures.
    """
    if len(tables) < 2:
        raise ValueError("ranks compares tables with each other; give at least two")
    scores = [final_accuracy(table, split) for table in tables]
    held = ~np.isnan(np.array([score for score, _ in scores])).any(axis=0)
    if held.sum() < 2:
        raise ValueError(f"the tables have {held.sum()} architectures in common; two are needed to rank them")
    # Rank 1 for the best; ties by position.
    positions = [np.argsort(np.argsort(-score[held], kind="stable")) + 1 for score, _ in scores]
    plt = _pyplot()
    count = len(tables) - 1
    figure, grid = plt.subplots(1, count, figsize=(0.6 + 4.9 * count, 4.9), squeeze=False)
    taus = {}
    for axes, table, (score, _), position in zip(grid[0], tables[1:], scores[1:], positions[1:], strict=True):
        tau = taus[table.name] = kendall(scores[0][0][held], score[held])
        axes.hexbin(positions[0], position, gridsize=55, cmap="Blues", bins="log", mincnt=1, linewidths=0.1)
        axes.plot([1, held.sum()], [1, held.sum()], color=RED, lw=1, ls=(0, (4, 3)))
        axes.set_xlabel(f"rank on {tables[0].name}")
        axes.set_ylabel(f"rank on {table.name}")
        axes.set_xlim(held.sum(), 1)
        axes.set_ylim(held.sum(), 1)
        axes.set_aspect("equal")
        _finish(axes, f"{split} accuracy, Kendall's τ = {tau:.3f}")
    _save(figure, path, plt)
    return {"kendall": taus, "architectures": int(held.sum())}


def curves(
    table: Table, path: str | os.PathLike[str], *, split: str, architectures: Sequence[Architecture]
) -> dict[str, Any]:
    """Learning curves: the mean over runs by epoch, and the range of the runs.

    Raises:
        NotRecorded: If the table has the split's accuracy at one epoch only.
    """
    column = f"{split}_accuracy"
    epochs = table.recorded_epochs(column)
    if len(epochs) < 2:
        has = f"{table.name} records {column!r} at epochs={list(epochs)} only; a curve needs more"
        raise not_recorded(has, table.manifest)
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(8, 4.8))
    data = {}
    for number, architecture in enumerate(architectures):
        runs = 100 * table.record(architecture, column)
        runs = runs[~np.isnan(runs).all(axis=1)]
        if not len(runs):
            raise NotRecorded(f"{table.name} has no run of {architecture}")
        color = _LINES[number % len(_LINES)]
        mean = mean_over_runs(runs.T)  # over the runs there are at each epoch
        label = f"{architecture}\n{len(runs)} runs, {mean[-1]:.2f} % at the end"
        low, high = np.fmin.reduce(runs, axis=0), np.fmax.reduce(runs, axis=0)
        axes.fill_between(epochs, low, high, color=color, alpha=0.18, lw=0)
        axes.plot(epochs, mean, color=color, lw=1.6, label=label)
        data[str(architecture)] = (mean / 100).tolist()
    axes.set_xlabel("epochs completed")
    axes.set_ylabel(f"{split} accuracy (%)")
    _finish(axes, f"{_title(table, epochs[-1])}: mean and range over runs")
    axes.legend(frameon=False, loc="lower right", fontsize=7.5, labelspacing=0.9)
    _save(figure, path, plt)
    return {"epochs": list(epochs), "mean": data}


def _spread(costs: FloatArray) -> FloatArray:
    """Costs that take few values, moved a little sideways so that dots don't hide each other."""
    steps = np.unique(costs[~np.isnan(costs)])
    if len(steps) > 100:
        return costs
    width = 0.35 * float(np.diff(steps).min()) if len(steps) > 1 else 0.0
    return costs + np.random.default_rng(1).uniform(-width, width, len(costs))


def _limits(values: FloatArray) -> tuple[float, float]:
    """The y axis, without the tail of architectures that learn nothing where it would take up half."""
    held = values[~np.isnan(values)]
    low, high = float(np.quantile(held, 0.06)), float(held.max())
    if low - held.min() < high - low:
        low = float(held.min())
    return low - 0.02 * (high - low), high + 0.07 * (high - low)


def _title(table: Table, epochs: int | None) -> str:
    return _text(f"{table.name}, {epochs} epochs completed")


def _text(words: str) -> str:
    """Words of unknown origin as matplotlib shows them as they are: formulas stand between dollars."""
    return plain(words[:80]).replace("$", r"\$")


def _pyplot() -> Any:
    require("matplotlib", "plots").use("Agg")
    return require("matplotlib.pyplot", "plots")


def _finish(axes: Any, title: str, *, grid: bool = True) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(colors=MUTED, labelcolor=INK, length=0 if not grid else 3)
    if grid:
        axes.set_axisbelow(True)
        axes.grid(color=GRID, lw=0.8)


def _save(figure: Any, path: str | os.PathLike[str], plt: Any) -> None:
    figure.tight_layout()
    kind = os.path.splitext(path)[1].removeprefix(".")
    if not kind:
        raise ValueError(f"{os.fspath(path)}: a picture's name says its format; end it in .png, .pdf or .svg")
    with appearing(path) as new:
        figure.savefig(new, dpi=150, facecolor="white", format=kind)
    plt.close(figure)
