"""Searches for a front: how much of the true front's hypervolume each agent has after 300 queries.

    python -m benchmarks.studies objectives run --jobs 2         resumes where it stopped; docs/data
    python -m benchmarks.studies objectives run --seeds 0,1 --out /tmp/objectives --log-only

Validation accuracy against the official GPU latency, the harder pair: its fronts have 21 to 29 points, those
against parameters 13 to 15. The searches are those of ``nb201 bench`` with the same arguments, and its files
are what a stopped study goes on from. Numbers and figures are the report's (`nb201env.agents.report.fronts`).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.pages import DATA, DOCS, FIGURES, Pages, read_data, with_part, write_data
from nb201env import pictures
from nb201env.agents.commands.search import execute, finish, read_agents
from nb201env.agents.registry import EITHER, SEVERAL, display_name, make_agent
from nb201env.agents.report.data import load_files
from nb201env.agents.report.figure_fronts import attained, volume
from nb201env.agents.report.figure_style import SCREEN, Cast
from nb201env.agents.report.fronts.summary import FrontAgent, FrontSetting, summarise_front
from nb201env.agents.searches.plan import plan, unfinished
from nb201env.agents.searches.runner import Search
from nb201env.arrays import FloatArray
from nb201env.output import markdown_table
from nb201env.reading import parse_seeds

RESULTS, PAGE = DATA / "objectives.json", DOCS / "objectives.md"
AGENTS = (*EITHER, *SEVERAL)
ENVS = ("NB201-cifar10-mo-v0", "NB201-cifar100-mo-v0", "NB201-ImageNet16-120-mo-v0")
OBJECTIVES = ("accuracy", "latency_seconds")
QUERIES = 300
STOPS = (50, 100, 300)
"""Queries after which hypervolumes are kept."""


def searches(agents: list[str], seeds: list[int], out: Path) -> list[Search]:
    """The study's searches, environment by environment."""
    return plan(agents, ENVS, seeds, {"budget_queries": QUERIES}, out, None, {"objectives": [*OBJECTIVES]})


def settings(agent: str) -> dict[str, Any]:
    """An agent's hyper-parameters as JSON reads them back."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(make_agent(agent))))  # type: ignore[call-overload]
    return found


# -- numbers ---------------------------------------------------------------------------------


def report(planned: list[Search]) -> dict[str, FrontSetting]:
    """The report's numbers of finished searches, by environment."""
    bench = load_files([search.path for search in planned])
    found = {setting.name: summarise_front(setting) for setting in bench.settings}
    return {env: found[env] for env in ENVS}


def of_setting(one: FrontSetting) -> dict[str, Any]:
    """One environment's numbers; fractions, rounded to six places.

    Hypervolumes are shares of the true front's, of what was asked for, by the table's means.
    """
    stops, landscape = np.array(STOPS), one.landscape
    return {
        "table": landscape.table.id,
        "objectives": [*OBJECTIVES],
        "queries": QUERIES,
        "stops": [*STOPS],
        "front": len(landscape.front.index),
        "random": {
            "hypervolume": _rounded(landscape.expected_volumes(stops)),
            "share": _rounded(landscape.expected_shares(stops)),
        },
        "agents": {agent.entry.agent: _of_agent(agent, one) for agent in one.agents},
    }


def _of_agent(agent: FrontAgent, one: FrontSetting) -> dict[str, Any]:
    """Per search: hypervolume after each of `STOPS`; at the end that of the answer, and the share found."""
    volumes = [one.landscape.volumes(search.index.astype(np.int64)) for search in agent.entry.searches]
    return {
        "hyperparameters": settings(agent.entry.agent),
        "seeds": agent.entry.seeds,
        "hypervolume": [_rounded(volume[np.array(STOPS) - 1]) for volume in volumes],
        "answer": _rounded(agent.answer_volumes),
        "share": _rounded(agent.shares),
    }


def _rounded(values: FloatArray) -> list[float]:
    return [round(value, 6) for value in np.asarray(values).tolist()]


# -- page ------------------------------------------------------------------------------------


def page() -> Pages:
    """The page of several objectives, with what the agents found."""
    data = read_data(RESULTS)
    parts = [
        f"#### {env}: {one['front']} points on the front, {_count(one)} searches of each agent\n\n"
        f"{table_text(one)}"
        for env, one in data.items()
    ]
    return {PAGE: with_part(PAGE, "objectives", "\n\n".join(parts))}


def _count(one: dict[str, Any]) -> int:
    return min(len(agent["seeds"]) for agent in one["agents"].values())


def table_text(one: dict[str, Any]) -> str:
    """One environment's table, the most hypervolume first, random search's expectation last."""
    stops = one["stops"]
    ranked = sorted(one["agents"].items(), key=lambda item: -_final(item[1]).mean())
    rows = [
        [
            display_name(name),
            *(_percent(np.array(agent["hypervolume"])[:, place]) for place in range(len(stops))),
            _percent(agent["answer"]),
            f"{100 * np.mean(agent['share']):.0f}",
        ]
        for name, agent in ranked
    ]
    expected = [f"{100 * value:.2f}" for value in one["random"]["hypervolume"]]
    last = ["random search, expected", *expected, "", f"{100 * one['random']['share'][-1]:.0f}"]
    heads = ["agent", *map(str, stops), "answer", "front found"]
    return markdown_table(heads, [*rows, last])


def _final(agent: dict[str, Any]) -> FloatArray:
    return np.array(agent["hypervolume"])[:, -1]


def _percent(values: Any) -> str:
    """Mean ± standard error, in per cent."""
    found = 100 * np.asarray(values)
    error = found.std(ddof=1) / np.sqrt(len(found)) if len(found) > 1 else np.nan
    return f"{found.mean():.2f} ± {error:.2f}"


# -- figures ---------------------------------------------------------------------------------


def draw(found: dict[str, FrontSetting], folder: Path) -> None:
    """Attained fronts and gaps to the true one as the report draws them, two figures per environment.

    They need the searches, so they are drawn by `run`, not with the page.
    """
    plots = pictures.pyplot()
    cast = Cast([agent.entry.label for agent in next(iter(found.values())).agents])
    for one in found.values():
        with plots.rc_context(SCREEN.settings):
            for name, figure in (("front", attained), ("gap", volume)):
                drawn = figure(plots, one, cast, SCREEN)
                pictures.save(drawn, folder / f"{name}-{one.landscape.table.dataset}.png", plots)


# -- run -------------------------------------------------------------------------------------


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--agent", action="append", help="repeated or with commas; default: all six")
    parser.add_argument("--seeds", default="0-19")
    parser.add_argument("--jobs", type=int, default=1, help="processes; the results do not depend on it")
    parser.add_argument("--out", type=Path, default=Path("runs/objectives"), help="the trajectories")
    parser.add_argument("--log-only", action="store_true", help=f"leave docs/data/{RESULTS.name} as it is")


def run(a: argparse.Namespace) -> None:
    """Run what is missing, write the data, and print the tables."""
    planned = searches(read_agents(a.agent or AGENTS), parse_seeds(a.seeds), a.out)
    finish(execute(unfinished(planned), a.jobs))
    found = report(planned)
    data = {env: of_setting(one) for env, one in found.items()}
    if not a.log_only:
        write_data(RESULTS, data)
        draw(found, FIGURES)
    for env, one in data.items():
        print(f"{env}\n{table_text(one)}\n", flush=True)
