"""Query efficiency: how many queries until a search has asked for the best architecture.

    python -m benchmarks.studies queries run --jobs 2      runs what is missing and writes the data

Each search is ``nb201 search --agent A --env E --seeds S --budget CAP``, stopped when it has asked
for the best architecture: agents know no budget, so that whole search would begin with the same
queries. One line per finished search goes to ``runs/queries.jsonl``; what is there, or in the
committed data, is not run again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import nb201env  # noqa: F401  (registers the ids)
from benchmarks.jsonl import read_lines
from benchmarks.studies import pages
from nb201env import pictures
from nb201env.agents.contract import Agent
from nb201env.agents.registry import make_agent
from nb201env.agents.report.looks import look
from nb201env.agents.searches.recorder import Recorder, agent_seed
from nb201env.architecture import index_of
from nb201env.classes import canonical_classes
from nb201env.envs.registration import OFFICIAL
from nb201env.output import markdown_table
from nb201env.reading import parse_seeds
from nb201env.space import SIZE
from nb201env.table import Table
from nb201env.tables import open_table
from nb201env.workers import local

DATA, PAGE = pages.DATA / "query-efficiency.json", pages.DOCS / "query-efficiency.md"
ENVS = tuple(OFFICIAL)
KEYS = ("agent", "hyperparameters", "env", "table", "seed")
TARGETS = ("best", "near", "best_class")
NEAR = 0.001


@dataclass(frozen=True)
class Contender:
    """An agent as it is measured.

    Attributes:
        label: Its row's name.
        agent: Its name in the registry.
        cap: Queries after which a search that has not found the best counts as failed.
        seeds: How many searches per data set.
        kwargs: Hyper-parameters that differ from their defaults.
        first: The seed of the first; the others follow.
    """

    label: str
    agent: str
    cap: int
    seeds: int
    kwargs: dict[str, Any] = field(default_factory=dict)
    first: int = 0

    @property
    def numbers(self) -> range:
        """The seeds."""
        return range(self.first, self.first + self.seeds)


FRESH = 2000
"""The first seed of what was chosen with care: none of these seeds was looked at before."""
BEFORE = {"proxies": "", "exploration": 1.0, "floor": 2.0}
"""The predictor's settings in the first release of these numbers."""

CONTENDERS = (
    Contender("predictor", "predictor_evolution", 400, 100, first=FRESH),
    Contender("predictor without proxies", "predictor_evolution", 400, 100, {"proxies": ""}, FRESH),
    Contender("predictor as it was", "predictor_evolution", 400, 100, BEFORE, FRESH),
    Contender("predictor, XGBoost", "predictor_evolution", 400, 50, {"predictor": "xgboost"}, FRESH),
    Contender("TPE", "tpe", 1000, 100),
    Contender("BOHB", "bohb", 1000, 100),
    Contender("local search, first better", "local_search", 4000, 100, {"move": "first"}),
    Contender("local search, best of 24", "local_search", 4000, 100),
    Contender("CMA-ES", "cma_es", 4000, 100),
    Contender("regularized evolution", "regularized_evolution", 4000, 100),
    Contender("REINFORCE", "reinforce", 4000, 100),
)


# -- one search ------------------------------------------------------------------------------


class _Enough(Exception):
    """What the search is for was asked for."""


def asked_until(agent: Agent, env_id: str, seed: int, cap: int, enough: Callable[[int], bool]) -> list[int]:
    """The indices that a search asks for, up to the first one that is enough.

    Args:
        agent: Who searches.
        env_id: Where.
        seed: Of the search.
        cap: Queries after which it ends in any case.
        enough: Told each index.
    """
    asked: list[int] = []

    def watch(query: dict[str, Any]) -> None:
        asked.append(index_of(query["architecture"]))
        if enough(asked[-1]):
            raise _Enough

    with suppress(_Enough):
        agent.search(Recorder(gym.make(env_id, budget_queries=cap), seed, watch), agent_seed(seed))
    return asked


def goals(table: Table) -> dict[str, set[int]]:
    """The indices that count as found, by target."""
    mean = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    best, value = table.optimum(split="valid", epochs=table.epochs)
    classes = canonical_classes()
    return {
        "best": {best.index},
        "near": set(np.flatnonzero(mean >= value - NEAR).tolist()),
        "best_class": set(np.flatnonzero(classes == classes[best.index]).tolist()),
    }


def measure(contender: Contender, env_id: str, seed: int) -> dict[str, Any]:
    """Run one search; the number of the query that first met each target, or None."""
    wanted = goals(open_table(OFFICIAL[env_id]))
    agent = make_agent(contender.agent, **contender.kwargs)
    asked = asked_until(agent, env_id, seed, contender.cap, wanted["best"].__contains__)
    found = {
        target: next((number for number, index in enumerate(asked, 1) if index in wanted[target]), None)
        for target in TARGETS
    }
    return key(contender, env_id, seed) | {"queries": len(asked)} | found


def key(contender: Contender, env_id: str, seed: int) -> dict[str, Any]:
    """What makes a search the same search."""
    settings = asdict(make_agent(contender.agent, **contender.kwargs))  # type: ignore[call-overload]
    return {
        "agent": contender.agent,
        "hyperparameters": json.loads(json.dumps(settings)),  # as it will be read back
        "env": env_id,
        "table": open_table(OFFICIAL[env_id]).id,
        "seed": seed,
    }


# -- all searches ----------------------------------------------------------------------------


Rows = dict[str, dict[str, Any]]
"""Finished searches by their key."""


def read(path: Path) -> Rows:
    """The finished searches in a log; a line cut in two is left out."""
    return _by_key(read_lines(path))


def from_summary(entries: list[dict[str, Any]]) -> Rows:
    """The searches that a `summary` was made of."""
    return _by_key(
        {name: entry[name] for name in KEYS if name != "seed"}
        | {name: entry[name][place] for name in TARGETS}
        | {"seed": seed, "queries": entry["best"][place] or entry["cap"]}
        for entry in entries
        for place, seed in enumerate(entry["seeds"])
    )


def _by_key(rows: Iterable[dict[str, Any]]) -> Rows:
    return {_text({name: row[name] for name in KEYS}): row for row in rows}


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)


def done(rows: Rows, contender: Contender, env_id: str, seed: int) -> dict[str, Any] | None:
    """The finished search of this key, if it went as far as is needed."""
    row = rows.get(_text(key(contender, env_id, seed)))
    if row is not None and (row["best"] is not None or row["queries"] >= contender.cap):
        return row
    return None


def run_missing(
    contenders: list[Contender], seeds: list[int] | None, path: Path, jobs: int, known: Rows | None = None
) -> None:
    """Run what is missing in `path` and `known`; a line per finished search is appended to `path`."""
    rows = read(path)
    there = (known or {}) | rows
    plan = [
        (contender, env_id, seed)
        for contender in contenders
        for seed in (contender.numbers if seeds is None else seeds)
        for env_id in ENVS
        if done(there, contender, env_id, seed) is None
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = "".join(json.dumps(row) + "\n" for row in rows.values())
    path.write_text(whole, encoding="utf-8")  # a line cut in two is gone
    with open(path, "a", encoding="utf-8", buffering=1) as file:
        for number, ended in enumerate(local(_measure, plan, jobs), start=1):
            row = ended.result()
            file.write(json.dumps(row) + "\n")
            print(
                f"{number}/{len(plan)} {row['agent']} {row['env']} seed {row['seed']}: {row['best']}",
                flush=True,
            )


def _measure(job: tuple[Contender, str, int]) -> dict[str, Any]:
    return measure(*job)


# -- numbers, page and figure ----------------------------------------------------------------


def summary(rows: Rows, contenders: list[Contender]) -> list[dict[str, Any]]:
    """One entry per contender and data set with every search's counts, in order of seeds.

    A search that did not find its target within the cap has null.
    """
    entries = []
    for contender in contenders:
        for env_id in ENVS:
            mine = [done(rows, contender, env_id, seed) for seed in contender.numbers]
            complete = [row for row in mine if row is not None]
            if complete:
                entries.append(
                    {"label": contender.label, "agent": contender.agent, "kwargs": contender.kwargs,
                     "env": env_id, "table": complete[0]["table"], "cap": contender.cap,
                     "hyperparameters": complete[0]["hyperparameters"],
                     "seeds": [row["seed"] for row in complete]}
                    | {name: [_within(row[name], contender.cap) for row in complete] for name in TARGETS}
                )  # fmt: skip
    return entries


def _within(count: int | None, cap: int) -> int | None:
    return count if count is not None and count <= cap else None


def statistics(counts: list[int | None], cap: int) -> dict[str, float]:
    """Mean with standard error, median and greatest count, and how many failed; these count as the cap."""
    full = np.array([cap if count is None else count for count in counts])
    return {
        "mean": float(full.mean()),
        "error": float(full.std(ddof=1) / len(full) ** 0.5) if len(full) > 1 else float("nan"),
        "median": float(np.median(full)),
        "max": int(full.max()),
        "failures": counts.count(None),
    }


def table_text(entries: list[dict[str, Any]], target: str) -> str:
    """One target's table in Markdown: mean ± standard error / median / max per data set."""
    headings = ["agent", *(open_table(OFFICIAL[env]).dataset for env in ENVS), "searches"]
    lines = []
    for label in dict.fromkeys(entry["label"] for entry in entries):
        mine = {entry["env"]: entry for entry in entries if entry["label"] == label}
        cells = [_cell(mine[env][target], mine[env]["cap"]) if env in mine else "" for env in ENVS]
        searches = " / ".join(dict.fromkeys(str(len(entry["seeds"])) for entry in mine.values()))
        lines.append([label, *cells, searches])
    wanted = [goals(open_table(OFFICIAL[env]))[target] for env in ENVS]
    expected = [f"{SIZE / len(one):,.0f}" for one in wanted]
    lines.append(["random search, expected", *expected, "closed form"])
    return markdown_table(headings, lines, "lr")


def _cell(counts: list[int | None], cap: int) -> str:
    numbers = statistics(counts, cap)
    digits = 1 if numbers["mean"] < 100 else 0
    mean = f"{numbers['mean']:,.{digits}f} ± {numbers['error']:,.{digits}f}"
    text = f"{mean} / {numbers['median']:,.0f} / {numbers['max']:,}"
    if numbers["failures"]:
        text = f"≥ {text}; {numbers['failures']} not within {cap:,}"
    return text


def page() -> pages.Pages:
    """The page, with the tables to the best and near it."""
    entries = committed()
    near = ", ".join(str(len(goals(open_table(OFFICIAL[env]))["near"])) for env in ENVS)
    text = (
        f"### Until the best architecture\n\n{table_text(entries, 'best')}\n\n"
        f"### Until one within 0.1 % of it\n\n{table_text(entries, 'near')}\n\n"
        f"So many architectures are that good: {near}."
    )
    return {PAGE: pages.with_part(PAGE, "queries", text)}


def committed() -> list[dict[str, Any]]:
    """The committed data; see `summary`."""
    entries: list[dict[str, Any]] = pages.read_data(DATA)
    return entries


def figures(folder: Path) -> None:
    """Draw the page's figure into a folder."""
    draw(committed(), folder / "queries.png")


def draw(entries: list[dict[str, Any]], path: Path) -> None:
    """Which part of the searches has found the best, against queries; one panel per data set.

    A line ends with a dot at the agent's cap, where searches are left that have not found it.
    """
    pyplot = pictures.pyplot()
    figure, ((*axes,),) = pictures.new(pyplot, 11, 5, columns=len(ENVS))
    labels = list(dict.fromkeys(entry["label"] for entry in entries))
    for entry in entries:
        counts = np.sort([np.inf if count is None else count for count in entry["best"]])
        queries = np.arange(1, entry["cap"] + 1)
        share = 100 * np.searchsorted(counts, queries, side="right") / len(counts)
        seen, one = look(labels.index(entry["label"])), axes[ENVS.index(entry["env"])]
        one.plot(queries, share, label=entry["label"], color=seen.light, lw=1.6,
                 linestyle=(0, seen.dash) if seen.dash else "-")  # fmt: skip
        if share[-1] < 100:
            one.plot(queries[-1], share[-1], "o", color=seen.light, ms=4)
    for one, env in zip(axes, ENVS, strict=True):
        one.set(xscale="log", xlabel="queries", ylim=(0, 102))
        pictures.plain_numbers(one.xaxis)
        pictures.finish(one, open_table(OFFICIAL[env]).dataset)
        one.label_outer()
    axes[0].set_ylabel("searches that asked for the best (%)")
    pictures.legend_below(figure, axes[0], columns=3, handlelength=3.6)
    pictures.save(figure, path, pyplot)


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--only", action="append", help="a label or an agent's name; repeat for several")
    parser.add_argument("--seeds", type=parse_seeds, help="0-99; each agent's own number if left out")
    parser.add_argument("--cap", type=int, help="queries; each agent's own if left out")
    parser.add_argument("--jobs", type=int, default=1, help="processes; the results do not depend on it")
    parser.add_argument("--out", type=Path, default=Path("runs/queries.jsonl"), help="the log of searches")
    parser.add_argument("--log-only", action="store_true", help=f"leave docs/data/{DATA.name} as it is")


def run(a: argparse.Namespace) -> None:
    """Run what is missing, write the data, and print the table to the best."""
    chosen = [c for c in CONTENDERS if not a.only or {c.label, c.agent} & set(a.only)]
    if a.cap:
        chosen = [replace(contender, cap=a.cap) for contender in chosen]
    known = from_summary(committed())
    run_missing(chosen, a.seeds, a.out, a.jobs, known)
    rows = known | read(a.out)
    if not a.log_only:
        lines = ",\n".join(json.dumps(entry) for entry in summary(rows, list(CONTENDERS)))
        DATA.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(table_text(summary(rows, chosen), "best"))
