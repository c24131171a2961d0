"""What a page needs to draw a table's space: accuracies, ranks, and every cost as an axis."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from nb201env.arrays import FloatArray, IntArray
from nb201env.comparison import cost_names, costs, in_words, readable, unit_of
from nb201env.envs.answers import keeps_time
from nb201env.output import plain
from nb201env.pages.html import Json, packed, packed_floats
from nb201env.space import SIZE, official_index_of
from nb201env.table import NotRecorded, Table


def space_data(table: Table, valid: FloatArray, test: FloatArray | None, rank: IntArray) -> Json:
    """The numbers of a table's space for `space.js`.

    Args:
        table: The table, for its costs.
        valid, test: Mean accuracy over runs, fractions, float64 [15625]; NaN where there is none.
        rank: Every architecture's place by `valid`, 1 the best, 0 for none; int64 [15625].
    """
    return {
        "valid": packed(_hundredths(valid)),
        "test": None if test is None else packed(_hundredths(test)),
        "rank": packed(rank),
        "axes": _costs(table),
    }


def _hundredths(accuracy: FloatArray) -> IntArray:
    """Accuracies in hundredths of a per cent; 0 where there is none."""
    return np.rint(np.nan_to_num(accuracy) * 1e4).astype(np.int64)


def _costs(table: Table) -> Json:
    found: Json = {}
    for kind, name, label, digits in (
        ("params", "parameters", "parameters", 3), ("macs", "MACs", "multiply-accumulates", 1),
    ):  # fmt: skip
        with suppress(NotRecorded):
            counts = _known(costs(table, kind))
            unit, scale, word = ("M", 1e6, "millions") if counts.max() >= 1e6 else ("k", 1e3, "thousands")
            levels, codes = np.unique(counts / scale, return_inverse=True)
            values = {"levels": levels.tolist(), "codes": packed(codes)}  # a few different ones
            found[kind] = _cost(name, f"{label} ({word})", unit, digits, values)
    if keeps_time(table):
        seconds = {"values": packed_floats(table.seconds(epochs=table.epochs, run="mean"))}
        found["train_seconds"] = _cost(
            "GPU seconds", "simulated GPU seconds of one training", "s", 0, seconds
        )
    for name in cost_names(table):
        recorded = costs(table, name)
        if name not in found and not np.isnan(recorded).all():
            found[name] = _recorded_cost(name, *readable(recorded, unit_of(table, name)))
    # A table of accuracies alone knows no cost; its space is drawn in the official order.
    order = {"values": packed(official_index_of(np.arange(SIZE)))}
    return found or {"order": _cost("official index", "official index", "", 0, order)}


def _recorded_cost(name: str, values: FloatArray, unit: str) -> Json:
    """A column of the table as an axis, in a unit of a size that people read."""
    words, unit = plain(in_words(name)), plain(unit)
    most = float(np.nanmax(np.abs(values), initial=0.0))
    digits = 3 - int(np.floor(np.log10(most))) if most > 0 else 0
    label = f"{words} ({unit})" if unit else words
    return _cost(words, label, unit, min(max(digits, 0), 6), {"values": packed_floats(values)})


def _cost(name: str, label: str, unit: str, digits: int, values: Json) -> Json:
    return {"name": name, "label": label, "unit": unit, "digits": digits} | values


def _known(values: FloatArray) -> FloatArray:
    """0 for what is not recorded: JSON and the chart know only numbers."""
    return np.nan_to_num(values, posinf=0.0, neginf=0.0)
