"""Our rows beside the papers': for searches that were run under a paper's protocol."""

from __future__ import annotations

from nb201env.agents.papers.protocols import PROTOCOLS, Protocol, Sources, find_sources, found_accuracy
from nb201env.agents.papers.published import SPLITS, published, unlike
from nb201env.agents.report.data import Entry, Setting
from nb201env.agents.report.grid import Cell, Grid
from nb201env.agents.report.words import NOT_RECORDED
from nb201env.agents.searches.outcome import Spread, spread_text
from nb201env.tables import open_table


def protocol_of(setting: Setting) -> Protocol | None:
    """The protocol whose data set, schedule, budget and rule for the last query a setting has."""
    table, kwargs = setting.landscape.table, setting.env["kwargs"]
    for protocol in PROTOCOLS.values():
        rules = {"budget_seconds": protocol.seconds.get(table.dataset)}, protocol.overshoot
        if table.epochs == 12 and (setting.budget, kwargs.get("overshoot", "allow")) == rules:
            return protocol
    return None


def beside(setting: Setting) -> Grid | None:
    """The paper's rows and ours, or None if the setting is no paper's."""
    protocol = protocol_of(setting)
    if protocol is None:
        return None
    sources = find_sources()
    datasets = protocol.looked_up(setting.landscape.table.dataset)
    places = [(dataset, split) for dataset in datasets for split in SPLITS]
    epochs = setting.landscape.table.recorded_epochs("valid_accuracy")
    rows, notes = [], ""
    for entry in setting.entries:
        rows.append((entry.label, "ours", *(_ours(entry, sources, *place) for place in places), ""))
        theirs = published(protocol.name, entry.agent)
        if theirs is None:
            continue
        why = unlike(protocol.name, entry.agent, epochs)
        whose = "published *" if why else "published"
        rows.append((entry.label, whose, *(_theirs(theirs.cells[place]) for place in places), theirs.mark))
        notes += f" * {entry.label}: {why}." if why else ""
    return Grid(
        f"Beside the paper: {protocol.paper}",
        ("agent", "whose", *(f"{dataset} {split} (%)" for dataset, split in places), "mark"),
        tuple(rows),
        "What the searches chose, looked up in the results of 200-epoch trainings: mean ± standard deviation "
        f"over searches. Looked up in {_named(sources, datasets)}. Marks say how well a published row is "
        "established: V read in a source or recomputed; S from memory, a simulation agrees; M from memory."
        + notes,
    )


def _ours(entry: Entry, sources: Sources, dataset: str, split: str) -> str:
    accuracy = found_accuracy(entry.searches, dataset, split, sources)
    return NOT_RECORDED if accuracy is None else Cell(spread_text(accuracy), 100 * float(accuracy.mean()))


def _theirs(cell: Spread) -> Cell:
    return Cell(str(cell), 100 * cell.mean)


def _named(sources: Sources, datasets: tuple[str, ...]) -> str:
    names = [by[d] for d in datasets for by in (sources.valid, sources.test) if d in by]
    return ", ".join(f"{name} (id {open_table(name).id[:16]})" for name in dict.fromkeys(names))
