"""What a page needs to draw spaces: of each table the accuracies and costs, and what cells are in themselves.

A *measure* is one number of every architecture: an accuracy, a cost, a column of a table. The page's script
draws any measure against any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np

from nb201env import drawing
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import canonical_classes
from nb201env.comparison import cost_names, costs, final_accuracy, in_words, readable, unit_of
from nb201env.envs.answers import keeps_time
from nb201env.output import named, unlike
from nb201env.pages.html import Json, asset, packed, packed_floats
from nb201env.space import CONV1X1, CONV3X3, EDGES, NONE, NUM_OPS, OPS, SIZE, all_ops, official_index_of
from nb201env.table import NotRecorded, Table

_SCRIPTS = ("space_model.js", "space_colours.js", "space_canvas.js", "space_search.js", "space_panel.js",
            "space.js")  # fmt: skip

STYLE = "space.css"

_SPLITS = {"valid": "validation", "test": "test", "train": "training", "valtest": "validation and test"}
_LONGEST = 60


def space_script() -> str:
    """What draws a space, to stand after ``base.js``: declares ``spaceChart`` and no other name."""
    return f"const spaceChart = (() => {{\n{space_scripts()}\nreturn spaceChart;\n}})();\n"


def space_scripts() -> str:
    """What `space_script` holds: functions that see each other."""
    return "\n".join(asset("nb201env.pages", name) for name in _SCRIPTS)


def depths() -> IntArray:
    """How many convolutions (1x1 or 3x3) follow each other at most in each cell; int64 [15625], by index.

    Of all paths from the input to the output along edges whose op is not ``none``, the one with the most
    edges with a convolution counts: 0 where all paths have only skips and poolings, at most 3. -1 where no
    path leads to the output.
    """
    most = [np.zeros(SIZE, dtype=np.int64), *(np.full(SIZE, -1, dtype=np.int64) for _ in range(3))]
    for (source, target), op in zip(EDGES, all_ops().T, strict=True):  # a node's inputs come before it
        deeper = most[source] + np.isin(op, (CONV1X1, CONV3X3))
        reached = (op != NONE) & (most[source] >= 0)
        most[target] = np.where(reached, np.maximum(most[target], deeper), most[target])
    return most[3]


def cells_data() -> Json:
    """What holds for the space itself, whatever the table: of `DATA` in the page's script."""
    classes = canonical_classes()
    return {
        "cell": drawing.svg_parts()._asdict(),
        "ops": {"names": OPS, "short": drawing.LABELS[:NUM_OPS]},
        "edges": EDGES,
        "official": packed(official_index_of(np.arange(SIZE))),
        "depth": packed(depths() + 1),  # 0 where the output is cut off
        "members": packed(np.bincount(classes)[classes]),
    }


def tables_data(tables: Sequence[tuple[str, Table]], with_costs: Sequence[bool] | None = None) -> list[Json]:
    """The measures of tables, for the page's script.

    Args:
        tables: With their names; long ones are cut.
        with_costs: Whether to take a table's costs too; of all if None.
    """
    names = unlike(named(name, _LONGEST) for name, _ in tables)
    wanted = [True] * len(tables) if with_costs is None else with_costs
    return [
        {"name": name, "accuracies": _accuracies(table), "costs": list(_costs(table)) if take else []}
        for name, (_, table), take in zip(names, tables, wanted, strict=True)
    ]


def _accuracies(table: Table) -> list[Json]:
    """Of every split, the mean over runs after the last recorded epoch."""
    splits = [column.removesuffix("_accuracy") for column in table.columns if column.endswith("_accuracy")]
    found = []
    for split in sorted(splits, key=lambda split: ([*_SPLITS, split].index(split), split)):
        if not table.recorded_epochs(f"{split}_accuracy"):
            continue
        with suppress(NotRecorded):  # a column without a number
            accuracy, epochs = final_accuracy(table, split)
            name = f"{named(_SPLITS.get(split, split), _LONGEST)} accuracy"
            if epochs != table.epochs:
                name += f" after {epochs} epochs"
            found.append(_measure(f"{split}_accuracy", name, f"mean {name}", "%", 2, accuracy, 100))
    return found


def _costs(table: Table) -> Iterator[Json]:
    taken = []
    for kind, name, label, digits in (
        ("params", "parameters", "parameters", 3), ("macs", "MACs", "multiply-accumulates", 1),
    ):  # fmt: skip
        with suppress(NotRecorded):
            counts = costs(table, kind)
            if np.isnan(counts).all():
                continue
            unit, scale, word = (
                ("M", 1e6, "millions") if np.nanmax(counts, initial=0.0) >= 1e6 else ("k", 1e3, "thousands")
            )
            taken.append(kind)
            yield _measure(kind, name, f"{label} ({word})", unit, digits, counts / scale)
    if keeps_time(table):
        label = "simulated GPU seconds of one training"
        seconds = table.seconds(epochs=table.epochs, run="mean")
        yield _measure("seconds", "GPU seconds", label, "s", 0, seconds)
    others = [name for name in cost_names(table) if name not in taken]
    for name, words in zip(others, unlike(named(in_words(one), _LONGEST) for one in others), strict=True):
        recorded = costs(table, name)
        if np.isfinite(recorded).any():  # else there is nothing to draw
            yield _column(name, words, *readable(recorded, unit_of(table, name)))


def _column(name: str, words: str, values: FloatArray, unit: str) -> Json:
    """A column of the table, in a unit of a size that people read."""
    unit = named(unit, _LONGEST)
    most = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
    digits = 3 - int(np.floor(np.log10(most))) if most > 0 else 0
    return _measure(name, words, f"{words} ({unit})" if unit else words, unit, min(max(digits, 0), 6), values)


def _measure(
    key: str, name: str, label: str, unit: str, digits: int, values: FloatArray, scale: float = 1
) -> Json:
    """One number of every architecture, packed as its different values or as itself, whichever is smaller.

    They are shown multiplied by `scale`. Values lose what single precision cannot hold; where they are packed
    as levels, their order, and so every rank, is exact.
    """
    measure = {"key": key, "name": name, "label": label, "unit": unit, "digits": digits}
    held = np.abs(values) < np.finfo(np.float32).max  # NaN is not, nor what would become infinite
    levels, codes = np.unique(values[held], return_inverse=True)
    places = np.full(SIZE, len(levels))  # what is not recorded has the place after the last
    places[held] = codes
    if len(levels) <= SIZE // 2 or key.endswith("_accuracy"):
        return measure | {"levels": packed_floats(levels * scale), "places": packed(places)}
    return measure | {"values": packed_floats(np.where(held, values, np.nan) * scale)}
