"""The report's numbers for programs: one JSON file in full precision, as `report.schema.json` describes it.

Dataclasses become objects with the names of their fields, so what `summary` computes is in the file.
Accuracies and regrets are fractions, times are simulated seconds; what is not known (NaN, infinity) is null.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import fields, is_dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from nb201env.agents.papers.protocols import find_sources, spread
from nb201env.agents.papers.published import SPLITS, published
from nb201env.agents.report import provenance
from nb201env.agents.report.data import Setting
from nb201env.agents.report.elsewhere import Place
from nb201env.agents.report.fronts.summary import FrontAgent, FrontSetting
from nb201env.agents.report.papers import protocol_of
from nb201env.agents.report.statistics import Estimate
from nb201env.agents.report.summary import AgentSummary, Overall, SettingSummary, Summary
from nb201env.agents.searches.front import FrontLandscape
from nb201env.agents.searches.outcome import Landscape, Outcome, Spread
from nb201env.output import names, plain
from nb201env.pages.html import asset
from nb201env.table import Table

Json = Any
VERSION = 1
"""Of the file's form; another one when a name is dropped or means something else."""


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file, with every field's unit and meaning."""
    found: dict[str, Any] = json.loads(asset("nb201env.agents.report", "report.schema.json"))
    return found


def json_text(summary: Summary, command: str) -> str:
    """The file's text: ASCII, and no "<" that a page around it could read as markup.

    Args:
        summary: The numbers.
        command: The command that writes the report.
    """
    bench = summary.bench
    content = {
        "$schema": f"urn:nb201env:report:{VERSION}",
        "version": VERSION,
        "command": plain(command),
        "trajectories": len(bench.searches),
        "digest": bench.digest,
        "replayed": bench.replayed,
        "unfinished": encoded(bench.unfinished),
        "versions": provenance.versions(summary),
        "agents": encoded(bench.labels),
        "environments": encoded(summary.settings),
        "overall": encoded(summary.overall),
    }
    if summary.fronts:  # reports with one objective stay as they are
        content |= {"fronts": encoded(summary.fronts), "front_overall": encoded(summary.front_overall)}
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c") + "\n"


# -- values ----------------------------------------------------------------------------------


@singledispatch
def encoded(value: object) -> Json:
    """A value as JSON has it; of a dataclass its fields.

    Raises:
        TypeError: If it is of a kind that has no form here.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    raise TypeError(f"{type(value).__name__} has no form in report.json")


def _fields(value: Any, without: Container[str] = ()) -> dict[str, Json]:
    return {one.name: encoded(getattr(value, one.name)) for one in fields(value) if one.name not in without}


@encoded.register(bool | int | None)
def _as_it_is(value: bool | int | None) -> Json:
    return value


@encoded.register
def _number(value: float) -> Json:
    return value if np.isfinite(value) else None


@encoded.register
def _words(value: str) -> Json:
    return plain(value)


@encoded.register(np.ndarray | np.generic)
def _array(value: Any) -> Json:
    return encoded(value.tolist())


@encoded.register(list | tuple)
def _row(value: Any) -> Json:
    if hasattr(value, "_asdict"):  # a named tuple
        return encoded(value._asdict())
    return [encoded(item) for item in value]


@encoded.register
def _mapping(value: Mapping) -> Json:  # type: ignore[type-arg]
    return {plain(key): encoded(item) for key, item in value.items()}


# -- what is more than its fields, or less ---------------------------------------------------


@encoded.register
def _table(table: Table) -> Json:
    kind = table.manifest.get("kind", "measured")
    return encoded({"name": table.name, "id": table.id, "kind": kind, "dataset": table.dataset,
                    "epochs": table.epochs, "seeds": list(table.seeds)})  # fmt: skip


@encoded.register
def _landscape(landscape: Landscape) -> Json:
    return {"table": encoded(landscape.table), "optimum": encoded(landscape.optimum)}


@encoded.register
def _place(place: Place) -> Json:
    return _fields(place)


@encoded.register
def _search(search: Outcome) -> Json:
    if search.answer is not None:
        return {"seed": search.seed, "queries": search.queries, "seconds": encoded(float(search.clock[-1])),
                "answer": encoded(search.answer)}  # fmt: skip
    shown = ("seed", "queries", "accuracy", "test_accuracy", "regret", "gap_left")
    return {name: encoded(getattr(search, name)) for name in shown} | {
        "seconds": encoded(float(search.clock[-1])),
        "rank": int(search.landscape.rank[search.chosen]),
        "chosen": names(search.architecture),
    }


@encoded.register
def _agent(agent: AgentSummary) -> Json:
    test = None if agent.test is None else Spread.of(agent.test)
    return _fields(agent) | {
        "valid_spread": encoded(Spread.of(agent.valid)),
        "test_spread": encoded(test),
        "command": provenance.command(agent.entry),
    }


@encoded.register
def _setting(one: SettingSummary) -> Json:
    # The searches of a setting's entries stand with their agents.
    setting = _fields(one.setting, without=("entries",))
    more = {"improvement": _pairs(one.improvement), "paper": _paper(one.setting)}
    return setting | _fields(one, without=("setting", "improvement")) | more


@encoded.register
def _front_agent(agent: FrontAgent) -> Json:
    return _fields(agent) | {"command": provenance.command(agent.entry)}


@encoded.register
def _front_setting(one: FrontSetting) -> Json:
    setting = _fields(one.setting, without=("entries", "landscape"))
    more = {"improvement": _pairs(one.improvement)}
    return setting | _fields(one, without=("setting", "improvement")) | more


@encoded.register
def _front_landscape(landscape: FrontLandscape) -> Json:
    every, front = landscape.all, landscape.front
    objectives = [
        _fields(one) | {"worst": encoded(worst), "best": encoded(best)}
        for one, worst, best in zip(every.objectives, every.worst_values, every.best_values, strict=True)
    ]
    points = [
        names(architecture) | {"values": encoded(values)}
        for architecture, values in zip(front.architectures, front.values, strict=True)
    ]
    return {"table": encoded(landscape.table), "objectives": objectives, "front": points,
            "volume": encoded(landscape.volume)}  # fmt: skip


@encoded.register
def _overall(over: Overall) -> Json:
    return _fields(over, without=("improvement",)) | {"improvement": _pairs(over.improvement)}


def _pairs(chances: Mapping[tuple[str, str], Estimate]) -> Json:
    """A list, for a name in JSON is one text."""
    return [{"better": plain(a), "than": plain(b)} | encoded(chance) for (a, b), chance in chances.items()]


def _paper(setting: Setting) -> Json:
    """The published numbers and ours, if the setting is a paper's."""
    protocol = protocol_of(setting)
    if protocol is None:
        return None
    sources, rows = find_sources(), []
    places = [
        (dataset, split)
        for dataset in protocol.looked_up(setting.landscape.table.dataset)
        for split in SPLITS
    ]
    for entry in setting.entries:
        theirs = published(protocol.name, entry.agent)
        for place in places:
            rows.append({
                "label": entry.label, "dataset": place[0], "split": place[1],
                "ours": spread(entry.searches, *place, sources),
                "published": None if theirs is None else theirs.cells[place],
                "mark": None if theirs is None else theirs.mark,
            })  # fmt: skip
    return encoded({"protocol": protocol.name, "paper": protocol.paper, "rows": rows})
