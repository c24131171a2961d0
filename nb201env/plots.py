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

from nb201env import pictures
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import representatives
from nb201env.comparison import costs, final_accuracy, in_words, kendall, pareto, readable, unit_of
from nb201env.missing import not_recorded
from nb201env.space import CONV3X3, EDGES, OPS, SIZE, all_ops
from nb201env.table import NotRecorded, Table, mean_over_runs

OP_NAMES = ("none", "skip", "conv 1×1", "conv 3×3", "pool 3×3")

_NO_CLASS = "{name} has the {split} accuracy of no canonical class's first member"
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
        label = WORDS.get(column, in_words(column))
        return cls(name, values, unit, shown, pictures.words(f"{label} ({word})" if word else label), epochs)


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
    plt = pictures.pyplot()
    figure, ((axes,),) = pictures.new(plt, 8, 5.4)
    _scatter(plt, figure, axes, across, up)
    data: dict[str, Any] = {"architectures": int(both.sum()), "kendall": tau, "x": x, "y": y or "accuracy"}
    data["units"] = {data["x"]: across.unit, data["y"]: up.unit}
    if up.unit == "fraction" and across.epochs is None:
        front = _draw_front(figure, axes, across, up)
        data["front"] = [
            {"architecture": str(Architecture.from_index(i)), data["x"]: float(across.values[i]),
             data["y"]: float(up.values[i])} for i in front.tolist()
        ]  # fmt: skip
        pictures.finish(axes, _title(table, up.epochs))
    else:
        pictures.finish(axes, f"{_name(table)}: Kendall's τ = {pictures.number(tau, '.3f')}")
    pictures.save(figure, path, plt)
    return data


def _scatter(plt: Any, figure: Any, axes: Any, across: Axis, up: Axis) -> None:
    convolutions = (all_ops() == CONV3X3).sum(axis=1)
    order = np.random.default_rng(0).permutation(SIZE)
    shown = _spread(across.shown)
    dots = axes.scatter(shown[order], up.shown[order], c=convolutions[order], s=7, alpha=0.55,
                        linewidths=0, cmap="viridis", vmin=-0.5, vmax=6.5, rasterized=True)  # fmt: skip
    solid = plt.cm.ScalarMappable(norm=dots.norm, cmap=dots.cmap)  # not half-transparent, as the dots are
    bar = figure.colorbar(solid, ax=axes, boundaries=np.arange(-0.5, 6.6), ticks=range(7), pad=0.02)
    bar.set_label("3×3 convolutions in the cell", color=pictures.INK)
    bar.outline.set_visible(False)
    axes.set_xlabel(across.label if shown is across.shown else f"{across.label}; dots spread sideways")
    axes.set_ylabel(up.label)


def _draw_front(figure: Any, axes: Any, across: Axis, up: Axis) -> IntArray:
    """The Pareto front of low cost and high accuracy, drawn: its architectures in rising order of cost."""
    front = pareto(across.values, up.values)
    x, y = across.shown[front], up.shown[front]
    axes.step(x, y, where="post", color=pictures.RED, lw=1.6)
    axes.plot([], [], "o-", color=pictures.RED, ms=4.5, mec="white", mew=0.7, lw=1.6, label="Pareto front")
    axes.plot(x, y, "o", color=pictures.RED, ms=4.5, mec="white", mew=0.7)
    low, high = _limits(up.shown)
    axes.set_ylim(low, high)
    # Above its dot, and moved sideways only where it would leave the axes.
    left, right = axes.get_xlim()
    place = (x[-1] - left) / (right - left)
    side = "left" if place < 0.12 else "right" if place > 0.88 else "center"
    axes.annotate(f"best: {y[-1]:.2f} %", (x[-1], y[-1]), xytext=(0, 6), textcoords="offset points",
                  ha=side, color=pictures.RED, fontsize=9)  # fmt: skip
    below = int((up.shown < low).sum())
    title = f"{below:,} architectures below {low:.0f} % are not shown" if below else None
    pictures.legend_below(figure, axes, title=title)
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
        raise NotRecorded(_NO_CLASS.format(name=table.name, split=split))
    plt = pictures.pyplot()
    figure, ((axes,),) = pictures.new(plt, 8, 4)
    axes.hist(100 * held, bins=min(60, len(np.unique(held))), color=pictures.BLUE, alpha=0.85, lw=0)
    quantiles = {f"{q:.0%}": float(np.quantile(held, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)}
    for name, share, color, dash in (
        ("median", "50%", pictures.ORANGE, "--"),
        ("best", "100%", pictures.RED, "-"),
    ):
        value = 100 * quantiles[share]
        axes.axvline(value, color=color, lw=1.8, ls=dash, label=f"{name} {value:.2f} %")
    axes.set_xlabel(f"{split} accuracy (%)")
    axes.set_ylabel("canonical classes")
    pictures.legend_below(figure, axes)
    pictures.finish(axes, _title(table, epochs))
    pictures.save(figure, path, plt)
    return {"classes": len(held), "quantiles": quantiles}


def seeds(table: Table, path: str | os.PathLike[str], *, split: str) -> dict[str, Any]:
    """One seed's accuracies against another's, for every pair of seeds, with Kendall's tau.

    Of every canonical class its first member counts, once.

    Raises:
        NotRecorded: If the table has one seed only, or means over runs, or the accuracy of none of them.
    """
    if len(table.seeds) < 2:
        held = f"the seed {table.seeds[0]} only" if table.seeds else "means over runs only"
        raise NotRecorded(f"{table.name} has {held}; comparing seeds needs two")
    epochs = table.recorded_epochs(f"{split}_accuracy")[-1]
    runs = table.runs(split=split, epochs=epochs)[representatives()]
    if np.isnan(runs).all():
        raise NotRecorded(_NO_CLASS.format(name=table.name, split=split))
    pairs = list(combinations(range(len(table.seeds)), 2))
    plt = pictures.pyplot()
    figure, grid = pictures.new(plt, max(6.5, 4.5 * len(pairs)), 5.4, columns=len(pairs))
    lowest, highest = 100 * np.nanmin(runs), 100 * np.nanmax(runs)
    taus = {}
    for axes, (one, two) in zip(grid[0], pairs, strict=True):
        x, y = runs[~np.isnan(runs[:, [one, two]]).any(axis=1)][:, [one, two]].T
        name = f"{table.seeds[one]}, {table.seeds[two]}"
        tau = taus[name] = kendall(x, y)
        _density(plt, axes, 100 * x, 100 * y, 45, "canonical classes")
        axes.axline(
            (lowest, lowest), slope=1, color=pictures.RED, lw=1, ls=(0, (4, 3)), label="alike with both seeds"
        )
        axes.set_xlabel(f"seed {table.seeds[one]}: {split} accuracy (%)")
        axes.set_ylabel(f"seed {table.seeds[two]}: {split} accuracy (%)")
        axes.set(aspect="equal", xlim=_margin(lowest, highest), ylim=_margin(lowest, highest))
        pictures.finish(axes, f"Kendall's τ = {pictures.number(tau, '.3f')}")
    figure.suptitle(_title(table, epochs), fontsize=11, color=pictures.INK)
    pictures.legend_below(figure, grid[0][0], columns=min(2, grid.size))
    pictures.save(figure, path, plt)
    return {"kendall": taus, "classes": len(runs)}


def ops(table: Table, path: str | os.PathLike[str], *, split: str) -> dict[str, Any]:
    """Each op on each edge: mean accuracy of the architectures that have it, against the mean of all."""
    accuracy, epochs = final_accuracy(table, split)
    effects = op_effects(accuracy)
    plt = pictures.pyplot()
    figure, ((axes,),) = pictures.new(plt, 8, 4.4)
    most = float(np.nanmax(np.abs(effects))) * 100
    image = axes.imshow(100 * effects.T, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
    for edge in range(len(EDGES)):
        for op in range(len(OPS)):
            value = 100 * effects[edge, op]
            color = "white" if abs(value) > 0.6 * most else pictures.INK
            axes.text(
                edge, op, pictures.number(value, "+.2f"), ha="center", va="center", color=color, fontsize=9.5
            )
    axes.set_xticks(range(len(EDGES)), [f"{a} → {b}" for a, b in EDGES])
    axes.set_yticks(range(len(OPS)), OP_NAMES)
    axes.set_xlabel("edge (from node → to node; 0 is the input, 3 the output)")
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("percentage points against the mean")
    bar.outline.set_visible(False)
    title = f"{_title(table, epochs)}\neffect of an op on an edge on {split} accuracy"
    pictures.finish(axes, title, grid=False)
    pictures.save(figure, path, plt)
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
    plt = pictures.pyplot()
    count = len(tables) - 1
    figure, grid = pictures.new(plt, 5.2 * count, 5.7, columns=count)
    taus = {}
    for axes, table, (score, _), position in zip(grid[0], tables[1:], scores[1:], positions[1:], strict=True):
        tau = taus[table.name] = kendall(scores[0][0][held], score[held])
        _density(plt, axes, positions[0], position, 55, "architectures")
        axes.plot(
            [1, held.sum()], [1, held.sum()], color=pictures.RED, lw=1, ls=(0, (4, 3)), label="alike in both"
        )
        axes.set_xlabel(f"rank on {_name(tables[0])}")
        axes.set_ylabel(f"rank on {_name(table)}")
        axes.set(aspect="equal", xlim=(held.sum(), 1), ylim=(held.sum(), 1))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(plt.MaxNLocator(5, integer=True))
            pictures.plain_numbers(axis)
        pictures.finish(axes, f"{split} accuracy, Kendall's τ = {pictures.number(tau, '.3f')}")
    pictures.legend_below(figure, grid[0][0], columns=min(2, grid.size))
    pictures.save(figure, path, plt)
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
    plt = pictures.pyplot()
    figure, ((axes,),) = pictures.new(plt, 8, 4.2 + 0.45 * len(architectures))
    data = {}
    for place, architecture in enumerate(architectures):
        runs = 100 * table.record(architecture, column)
        runs = runs[~np.isnan(runs).all(axis=1)]
        if not len(runs):
            raise NotRecorded(f"{table.name} has no run of {architecture}")
        look = pictures.line(place)
        mean = mean_over_runs(runs.T)  # over the runs there are at each epoch
        label = f"{architecture}\n{len(runs)} runs, {mean[-1]:.2f} % at the end"
        low, high = np.fmin.reduce(runs, axis=0), np.fmax.reduce(runs, axis=0)
        axes.fill_between(epochs, low, high, color=look["color"], alpha=0.18, lw=0)
        axes.plot(epochs, mean, lw=1.6, label=label, **look)
        data[str(architecture)] = (mean / 100).tolist()
    axes.set_xlabel("epochs completed")
    axes.set_ylabel(f"{split} accuracy (%)")
    pictures.finish(axes, f"{_title(table, epochs[-1])}: mean and range over runs")
    pictures.legend_below(figure, axes, columns=1, fontsize=7.5, labelspacing=0.9, handlelength=3.5)
    pictures.save(figure, path, plt)
    return {"epochs": list(epochs), "mean": data}


def _density(
    plt: Any, axes: Any, x: FloatArray | IntArray, y: FloatArray | IntArray, across: int, what: str
) -> None:
    """How many lie where, in so many hexagons across; where none lies there is no hexagon."""
    colours = pictures.pale_blues(plt)
    axes.hexbin(x, y, gridsize=across, cmap=colours, bins="log", mincnt=1, linewidths=0.1)
    axes.plot(
        [], [], "h", ms=9, color=colours(0.6), label=f"{what}: darker where there are more (logarithmic)"
    )


def _margin(low: float, high: float) -> tuple[float, float]:
    """Limits of an axis that shows all from `low` to `high`."""
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


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


def _name(table: Table) -> str:
    return pictures.words(table.name, 44)


def _title(table: Table, epochs: int | None) -> str:
    return f"{_name(table)}, {epochs} epochs completed"
