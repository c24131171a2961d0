"""Small budgets: what every agent answers after 30 queries, and what its decisions cost.

    python -m benchmarks.studies small_budgets run       runs what is missing and writes the data

The searches are those of ``nb201 bench --protocol k30``, timed. One line per finished search goes to
``runs/small-budgets.jsonl``; what is there, or in the committed data, runs again only if the agent's
hyper-parameters or the table have changed, or with ``--again``. The test accuracy of CIFAR-10 needs the CSV
of the published numbers (NB201_REFERENCE); without it, what the data hold is kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.jsonl import append, read_lines
from benchmarks.studies import pages
from benchmarks.studies.environments import COMPARED
from benchmarks.studies.published import CSV
from benchmarks.studies.queries import Contender, key
from nb201env import pictures
from nb201env.agents.papers.protocols import K30, find_sources, plan_protocol, reference_sources
from nb201env.agents.random_search import expected_best
from nb201env.agents.registry import display_name
from nb201env.agents.report.statistics import mean_estimate
from nb201env.agents.searches.outcome import Landscape, Spread, outcome
from nb201env.agents.searches.runner import Search
from nb201env.agents.searches.timing import timed_search
from nb201env.arrays import FloatArray
from nb201env.envs.registration import OFFICIAL
from nb201env.output import markdown_table
from nb201env.reading import parse_seeds
from nb201env.tables import open_table

DATA, PAGE = pages.DATA / "small-budgets.json", pages.DOCS / "small-budgets.md"
QUERIES, SEEDS = K30.queries["cifar10"], parse_seeds(K30.seeds)
ENVS = {dataset: f"NB201-{dataset}-v0" for dataset in K30.queries}
SPLITS = ("valid", "test")
AFTER = (10, QUERIES)
"""Queries after which the answer is looked at."""
WINDOWS = ((0, 30), (30, 100), (100, 300))
"""Between which queries decisions are timed; the later ones in searches of their own."""
TIMED_ON, TIMED_SEEDS = "cifar10", range(5)
HEAD = ("agent", "hyperparameters", "env", "table", "queries")

CONTENDERS = (
    *(Contender(display_name(agent), agent, QUERIES, len(SEEDS)) for agent in COMPARED),
    Contender("predictor evolution, XGBoost", "predictor_evolution", QUERIES, len(SEEDS),
              {"predictor": "xgboost"}),
    Contender("local search, first better", "local_search", QUERIES, len(SEEDS), {"move": "first"}),
)  # fmt: skip
"""All agents that learn from single rewards and need nothing but the environment, and two variants."""

GENIUS = {
    "cifar10": {"valid": Spread(0.9107, 0.0020), "test": Spread(0.9379, 0.0009)},
    "cifar100": {"valid": Spread(0.7096, 0.0033), "test": Spread(0.7091, 0.0072)},
    "ImageNet16-120": {"valid": Spread(0.4529, 0.0081), "test": Spread(0.4496, 0.0102)},
}
"""Zheng et al. (2023), table 1: GPT-4, ten architectures asked for, mean and deviation of five searches."""


# -- one search ------------------------------------------------------------------------------


def plan(contender: Contender, dataset: str, queries: int, seeds: Sequence[int]) -> list[Search]:
    """Searches of the protocol, or with another number of queries."""
    kwargs = {contender.agent: contender.kwargs} if contender.kwargs else None
    planned = plan_protocol(K30, [contender.agent], seeds, Path(), kwargs)
    return [
        Search(one.agent, one.env_id, one.seed, {"budget_queries": queries}, one.folder, one.agent_kwargs)
        for one in planned
        if one.env_id == ENVS[dataset]
    ]


def measure(contender: Contender, dataset: str, queries: int, seed: int) -> dict[str, Any]:
    """Run one search: its answers after so many queries, and the agent's processor seconds per query."""
    _warm_up(contender.agent, json.dumps(contender.kwargs))
    (search,) = plan(contender, dataset, queries, [seed])
    trajectory, decisions = timed_search(search)
    incumbents = outcome(trajectory, search.table).incumbents
    timed = [decisions[first:last] for first, last in WINDOWS if last <= queries]
    return row_key(contender, dataset, queries, seed) | {
        "answers": [int(incumbents[:after][-1]) for after in AFTER],
        "cpu_seconds": [round(float(some.mean()), 7) if len(some) else None for some in timed],
    }


@cache
def _warm_up(agent: str, kwargs: str) -> None:
    """One search that does not count: it imports what the agent needs."""
    contender = Contender("", agent, QUERIES, 1, json.loads(kwargs))
    timed_search(plan(contender, "cifar10", QUERIES, [SEEDS[-1] + 1])[0])


def row_key(contender: Contender, dataset: str, queries: int, seed: int) -> dict[str, Any]:
    """What makes a search the same search."""
    return key(contender, ENVS[dataset], seed) | {"queries": queries}


# -- all searches ----------------------------------------------------------------------------

Rows = dict[str, dict[str, Any]]
"""Finished searches by their key."""


def by_key(rows: Iterable[dict[str, Any]]) -> Rows:
    """Rows by what makes a search the same search."""
    return {_text(row): row for row in rows}


def _text(row: dict[str, Any]) -> str:
    return json.dumps({name: row[name] for name in (*HEAD, "seed")}, sort_keys=True)


def wanted(contender: Contender) -> list[tuple[Contender, str, int, int]]:
    """All searches of a contender: data set, queries, seed."""
    return [
        *((contender, dataset, QUERIES, seed) for dataset in ENVS for seed in SEEDS[: contender.seeds]),
        *((contender, TIMED_ON, WINDOWS[-1][1], seed) for seed in TIMED_SEEDS[: contender.seeds]),
    ]


def entries(rows: Rows, contenders: Iterable[Contender]) -> list[dict[str, Any]]:
    """One entry per contender, data set and budget that is complete, with every search's answers."""
    found: list[dict[str, Any]] = []
    for contender in contenders:
        jobs = wanted(contender)
        for dataset, queries in dict.fromkeys(job[1:3] for job in jobs):
            seeds = [job[3] for job in jobs if job[1:3] == (dataset, queries)]
            mine = [rows.get(_text(row_key(contender, dataset, queries, seed))) for seed in seeds]
            if done := [row for row in mine if row is not None]:
                found.append(
                    {"label": contender.label, "dataset": dataset}
                    | {name: done[0][name] for name in HEAD}
                    | {"kwargs": contender.kwargs, "seeds": [row["seed"] for row in done]}
                    | {name: [row[name] for row in done] for name in ("answers", "cpu_seconds")}
                )
    return found


def from_entries(some: Iterable[dict[str, Any]]) -> Rows:
    """The searches that `entries` were made of."""
    return by_key(
        {name: entry[name] for name in HEAD}
        | {"seed": seed, "answers": entry["answers"][place], "cpu_seconds": entry["cpu_seconds"][place]}
        for entry in some
        for place, seed in enumerate(entry["seeds"])
    )


def run_missing(contenders: Iterable[Contender], log: Path, known: Rows, *, again: bool = False) -> Rows:
    """Run what is neither in the log nor known; a line per finished search goes to the log."""
    rows = known | by_key(read_lines(log))
    todo = [job for one in contenders for job in wanted(one) if again or _text(row_key(*job)) not in rows]
    for number, job in enumerate(todo, start=1):
        row = measure(*job)
        append(log, **row)
        rows |= by_key([row])
        print(f"{number}/{len(todo)} {job[0].label}, {job[1]}, {job[2]} queries, seed {job[3]}", flush=True)
    return rows


def test_accuracies(some: Iterable[dict[str, Any]], known: dict[str, Any]) -> dict[str, Any]:
    """By data set: the best test accuracy there is, and that of every answer by its index.

    Of data sets of which no table with test accuracy is at hand, what is known already.
    """
    answers: dict[str, set[int]] = {}
    for entry in some:
        answers.setdefault(entry["dataset"], set()).update(*entry["answers"])
    with tempfile.TemporaryDirectory() as folder:
        sources = reference_sources(CSV, folder) if CSV.is_file() else find_sources()
        found = {dataset: sources.accuracy(dataset, "test") for dataset in answers}
    return known | {
        dataset: {
            "optimum": round(float(np.nanmax(accuracy)), 6),
            "accuracy": {str(index): round(float(accuracy[index]), 6) for index in sorted(answers[dataset])},
        }
        for dataset, accuracy in found.items()
        if accuracy is not None
    }


# -- numbers ---------------------------------------------------------------------------------


@cache
def landscape(dataset: str) -> Landscape:
    """What answers are judged by."""
    return Landscape.of(open_table(OFFICIAL[ENVS[dataset]]))


def accuracies(entry: dict[str, Any], after: int) -> FloatArray:
    """The mean validation accuracy of an entry's answers, fractions, float64 [searches]."""
    return landscape(entry["dataset"]).valid[[answers[AFTER.index(after)] for answers in entry["answers"]]]


def tested(entry: dict[str, Any], after: int, test: dict[str, Any]) -> FloatArray | None:
    """The mean test accuracy of an entry's answers; None where it is not known of all of them."""
    known = test.get(entry["dataset"], {}).get("accuracy", {})
    chosen = [str(answers[AFTER.index(after)]) for answers in entry["answers"]]
    return np.array([known[index] for index in chosen]) if set(chosen) <= known.keys() else None


def by_label(data: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """The searches of the protocol by contender and data set, the best contender first.

    The order is that of the mean over data sets of the regret as a share of the median architecture's.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in data["searches"]:
        if entry["queries"] == QUERIES:
            found.setdefault(entry["label"], {})[entry["dataset"]] = entry
    whole = {label: mine for label, mine in found.items() if mine.keys() == ENVS.keys()}
    return dict(sorted(whole.items(), key=lambda one: shortfall(
        {dataset: float(accuracies(entry, QUERIES).mean()) for dataset, entry in one[1].items()}
    )))  # fmt: skip


def shortfall(reached: dict[str, float]) -> float:
    """The mean over data sets of the regret as a share of the median architecture's."""
    land = {dataset: landscape(dataset) for dataset in reached}
    return float(np.mean([(land[d].optimum - value) / land[d].median_regret for d, value in reached.items()]))


def expected(after: int) -> dict[str, float]:
    """What random search answers on average, in closed form, by data set."""
    return {dataset: float(expected_best(landscape(dataset).table, after, epochs=200)) for dataset in ENVS}


# -- page and figure -------------------------------------------------------------------------


def page() -> pages.Pages:
    """The page, with the table of all agents, that after ten queries, and that of costs."""
    data = committed()
    text = f"{table_text(data)}\n\n{ten_text(data)}\n\n{costs_text(data)}"
    return {PAGE: pages.with_part(PAGE, "small_budgets", text)}


def table_text(data: dict[str, Any]) -> str:
    """All agents after 30 queries, with what their decisions cost."""
    costs = {label: _milliseconds([*mine.values()], 0) for label, mine in by_label(data).items()}
    rows = [["the best there is", *_best(data)], *standings(data, QUERIES)]
    lines = [[*row, costs.get(row[0], "")] for row in rows]
    headings = ["agent", *_columns(data), "ms per query"]
    return f"### After {QUERIES} queries\n\n{markdown_table(headings, lines, 'lr')}"


def ten_text(data: dict[str, Any]) -> str:
    """All agents after ten queries, and a language model's published row."""
    published = {d: splits["valid"].mean for d, splits in GENIUS.items()}
    cells = [str(GENIUS[d][split]) for d in ENVS for split in _splits(d, data)]
    lines = standings(data, AFTER[0], (shortfall(published), ["**GENIUS (GPT-4), as published**", *cells]))
    return f"### After {AFTER[0]} queries\n\n{markdown_table(['agent', *_columns(data)], lines, 'lr')}"


def standings(data: dict[str, Any], after: int, *others: tuple[float, list[str]]) -> list[list[str]]:
    """One row per agent after so many queries, the least `shortfall` first: accuracy ± error (regret).

    Args:
        data: See `committed`.
        after: The queries.
        others: Further rows, each behind its shortfall.
    """
    closed = {d: np.array([value]) for d, value in expected(after).items()}
    reached = {"random search, closed form": closed} | {
        label: {d: accuracies(entry, after) for d, entry in mine.items()}
        for label, mine in by_label(data).items()
    }
    rows = list(others)
    for label, by_dataset in reached.items():
        cells = [label]
        for d, values in by_dataset.items():
            lacking = 100 * (landscape(d).optimum - values.mean())
            cells += [f"{_error(values)} ({lacking:.2f})"]
            cells += [_tested(label, d, after, data)] * (d in data["test"])
        rows.append((shortfall({d: float(values.mean()) for d, values in by_dataset.items()}), cells))
    return [cells for _, cells in sorted(rows, key=lambda row: row[0])]


def _tested(label: str, dataset: str, after: int, data: dict[str, Any]) -> str:
    """An agent's mean test accuracy; nothing where it is not known of all its answers."""
    entry = by_label(data).get(label, {}).get(dataset)
    values = None if entry is None else tested(entry, after, data["test"])
    return "" if values is None else _error(values)


def costs_text(data: dict[str, Any]) -> str:
    """What a decision costs as answers pile up."""
    longest = WINDOWS[-1][1]
    mine = {entry["label"]: entry for entry in data["searches"] if entry["queries"] == longest}
    headings = ["agent", *(f"queries {first + 1} to {last}" for first, last in WINDOWS)]
    lines = [
        [label, *(_milliseconds([mine[label]], window) for window in range(len(WINDOWS)))]
        for label in by_label(data)
        if label in mine
    ]
    return f"### Milliseconds per query as answers pile up\n\n{markdown_table(headings, lines, 'lr')}"


def _columns(data: dict[str, Any]) -> list[str]:
    return [f"{d} {split}" for d in ENVS for split in _splits(d, data)]


def _splits(dataset: str, data: dict[str, Any]) -> tuple[str, ...]:
    """Of which splits accuracies are known."""
    return SPLITS if dataset in data["test"] else SPLITS[:1]


def _best(data: dict[str, Any]) -> list[str]:
    best = {(d, "valid"): landscape(d).optimum for d in ENVS}
    best |= {(d, "test"): known["optimum"] for d, known in data["test"].items()}
    return [f"{100 * best[d, split]:.2f}" for d in ENVS for split in _splits(d, data)]


def _error(values: FloatArray) -> str:
    """Mean ± standard error in per cent; of one value, that alone."""
    if len(values) < 2:
        return f"{100 * values[0]:.2f}"
    return f"{100 * values.mean():.2f} ± {100 * values.std(ddof=1) / np.sqrt(len(values)):.2f}"


def _milliseconds(some: list[dict[str, Any]], window: int) -> str:
    """The median over searches of an agent's processor time per query; two digits that count."""
    values = [cpu[window] for entry in some for cpu in entry["cpu_seconds"] if cpu[window] is not None]
    return f"{float(f'{1000 * np.median(values):.2g}'):g}" if values else ""


def committed() -> dict[str, Any]:
    """The committed data: "searches", see `entries`, and "test", see `test_accuracies`."""
    data: dict[str, Any] = pages.read_data(DATA)
    return data


def figures(folder: Path) -> None:
    """Draw the page's figure into a folder."""
    draw(committed(), folder / "small-budgets.png")


def draw(data: dict[str, Any], path: Path) -> None:
    """Each agent's mean accuracy with its interval, per data set; random search's is a line."""
    pyplot, mine = pictures.pyplot(), by_label(data)
    figure, ((*axes,),) = pictures.new(pyplot, 11, 1.3 + 0.26 * len(mine), columns=len(ENVS))
    for one, dataset in zip(axes, ENVS, strict=True):
        one.axvline(100 * expected(QUERIES)[dataset], color=pictures.MUTED, lw=1, ls=(0, (4, 3)))
        for place, entries_ in enumerate(mine.values()):
            mean, low, high = (100 * value for value in mean_estimate(accuracies(entries_[dataset], QUERIES)))
            if np.isfinite(low):
                one.plot([low, high], [place, place], color=pictures.BLUE, lw=1.6)
            one.plot(mean, place, "o", color=pictures.BLUE, ms=5)
        one.set(xlabel="validation accuracy of the answer (%)", ylim=(len(mine) - 0.4, -0.6))
        one.set_yticks(range(len(mine)), list(mine))
        pictures.finish(one, dataset)
        one.label_outer()
    pictures.save(figure, path, pyplot)


# -- the command -----------------------------------------------------------------------------


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--only", action="append", help="a label or an agent's name; repeat for several")
    parser.add_argument("--again", action="store_true", help="run them even if nothing has changed")
    parser.add_argument("--out", type=Path, default=Path("runs/small-budgets.jsonl"), help="the log")


def run(a: argparse.Namespace) -> None:
    """Run what is missing, write the data, and print the tables."""
    chosen = [one for one in CONTENDERS if not a.only or {one.label, one.agent} & set(a.only)]
    before = committed() if DATA.is_file() else {"searches": [], "test": {}}
    rows = run_missing(chosen, a.out, from_entries(before["searches"]), again=a.again)
    found = entries(rows, CONTENDERS)
    data = {"test": test_accuracies(found, before["test"]), "searches": found}
    write(data)
    print(table_text(data), costs_text(data), sep="\n\n")


def write(data: dict[str, Any]) -> None:
    """Write the data, a line per entry."""
    lines = ",\n".join(json.dumps(entry) for entry in data["searches"])
    DATA.write_text(f'{{"test": {json.dumps(data["test"])},\n"searches": [\n{lines}\n]}}\n', encoding="utf-8")
