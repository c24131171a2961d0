"""The agents' searches on a surrogate's table and on the table it stands for, compared.

Trajectory fidelity says how alike the searches go; leave-one-out trains a surrogate on what one agent visited
and tests it on what another did.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from nb201env.agents.searches.plan import unfinished
from nb201env.agents.searches.runner import Search, run_all
from nb201env.arrays import FloatArray
from nb201env.comparison import kendall
from nb201env.envs.registration import OWN, TABLES
from nb201env.fields import Fields
from nb201env.reading import format_seeds
from nb201env.space import all_ops
from nb201env.surrogate.metrics import sparse_kendall_tau
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.table import Table
from nb201env.tables import embedded, open_table, own
from nb201env.trajectory import Trajectory, read

BAND = (0.05, 0.95)
"""The seed-to-seed band: these quantiles over the table's searches, query by query."""
CLEAR = 0.05
"""Two agents differ clearly if the Mann-Whitney test of their final regrets has a lower p value."""


Searches = Mapping[str, Sequence[Trajectory]]
"""Searches by agent."""


@dataclass(frozen=True)
class SearchPlan:
    """Which searches to compare.

    Attributes:
        surrogate: Name or path of the surrogate's table; its training table is the other side.
        agents: The agents, as ``nb201 search`` knows them.
        seeds: The seeds of each agent's searches on either table.
        queries: The budget of each search.
    """

    surrogate: str
    agents: tuple[str, ...] = ("random_search", "regularized_evolution", "ppo", "a2c")
    seeds: tuple[int, ...] = tuple(range(20))
    queries: int = 200

    def searches(self, agent: str, table: Table, name: str, folder: Path) -> list[Search]:
        """One agent's searches on one table, which `name` names or leads to."""
        budget, further = {"budget_queries": self.queries}, {"table": name}
        named = f"NB201-{table.dataset}-v0"
        env_id = named if named in TABLES else OWN
        return [Search(agent, env_id, seed, budget, folder, {}, further) for seed in self.seeds]


def compare(
    plan: SearchPlan,
    out: Path,
    say: Callable[[str], None] = lambda text: None,
    check: Callable[[Sequence[Search]], None] = lambda searches: None,
) -> dict[str, Any]:
    """Run the searches that are missing, and compare those on the surrogate with those on the table.

    Args:
        plan: Which searches.
        out: The trajectories go to ``out/searches``, in a folder per table.
        say: Called with the command of each agent's searches that are run.
        check: Called with the searches that are missing before any of them runs.

    Returns:
        What `nb201env.surrogate.fidelity.report` shows: both tables' names and ids, the searches'
        commands, `trajectory_fidelity` and `leave_one_out`.

    Raises:
        ValueError: If the plan names no surrogate's table or no known agent, or ``out`` holds searches of
            another budget.
        RuntimeError: If a search fails.
    """
    surrogate = open_table(plan.surrogate)
    table = open_table(training_table(surrogate))
    sides = []
    for one, name in ((table, table.name), (surrogate, plan.surrogate)):
        folder = out / "searches" / one.id[:12]
        sides.append((one, {agent: plan.searches(agent, one, name, folder) for agent in plan.agents}))
    for _, searches in sides:  # a mistake in what was asked for shows before anything runs
        check([search for some in searches.values() for search in unfinished(some)])
    commands, found = [], []
    for one, searches in sides:
        for some in searches.values():
            commands.append(command(some))
            if missing := unfinished(some):
                say(commands[-1])
                run_missing(missing)
        found.append({agent: read_searches(searches[agent], one) for agent in sorted(searches)})
    on_table, on_surrogate = found
    return {
        "surrogate": {"name": surrogate.name, "id": surrogate.id},
        "table": {"name": table.name, "id": table.id},
        "commands": commands,
        "trajectory_fidelity": trajectory_fidelity(table, surrogate, on_table, on_surrogate, plan.queries),
        "leave_one_out": leave_one_out(table, on_table),
    }


def training_table(surrogate: Table) -> str:
    """The name of the table that a surrogate's table was trained on.

    Raises:
        ValueError: If the table is none of a surrogate, or the training table is another one now.
        FileNotFoundError: If there is no table of that name.
    """
    if surrogate.manifest.get("kind") != "surrogate":
        raise ValueError(
            f"{surrogate.name} is not a surrogate's table; nb201 surrogate fit --table-out writes one"
        )
    manifest = Fields(surrogate.manifest, surrogate.name)
    trained = manifest.object("provenance").object("training_table")
    name = trained.text("name")
    if name not in (known := [*own(), *embedded()]):  # a manifest says no paths
        raise FileNotFoundError(f"{surrogate.name} was trained on {name!r}, which is not at hand; "
                                f"there are {', '.join(known)}")  # fmt: skip
    if open_table(name).id != trained.text("id"):
        raise ValueError(f"{surrogate.name} was trained on another {name}; fit it again")
    return name


def command(searches: Sequence[Search]) -> str:
    """The ``nb201 search`` command of one agent's searches on one table."""
    one = searches[0]
    return shlex.join(
        ["nb201", "search", "--agent", one.agent, "--env", one.env_id,
         "--env-kwargs", json.dumps(one.env_kwargs), "--budget", str(one.budget["budget_queries"]),
         "--seeds", format_seeds([search.seed for search in searches])]
    )  # fmt: skip


def run_missing(searches: Sequence[Search]) -> None:
    """Run one agent's searches, one after the other.

    Raises:
        RuntimeError: If a search fails.
    """
    for failure in run_all(searches, 1, lambda search, count: None):
        raise RuntimeError(f"{failure.search.command} failed: {failure.reason}")


def read_searches(searches: Sequence[Search], table: Table) -> list[Trajectory]:
    """The trajectories of finished searches, in order of their files' names.

    Raises:
        FileNotFoundError: If one is not there.
        ValueError: If one is damaged or was cut short, or was answered from another table.
    """
    found = [read(path) for path in sorted(search.path for search in searches)]
    for trajectory in found:
        if not trajectory.complete:
            raise ValueError(
                f"{trajectory.path}: not the trajectory of a finished search; run the search again"
            )
        trajectory.check_table(table)
    return found


def regret_curves(table: Table, searches: Sequence[Trajectory], queries: int) -> FloatArray:
    """The incumbents' regret by the table's means, float64 [searches, queries], fractions.

    The incumbent is chosen by what the search saw, single runs; its regret is that of its mean.

    Raises:
        ValueError: If a search has fewer queries, or the table lacks an architecture that it found.
    """
    means = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    curves = []
    for search in searches:
        if len(search.queries) < queries:
            raise ValueError(f"{search.path}: {len(search.queries)} queries; {queries} are needed")
        curves.append(np.nanmax(means) - means[search.incumbents()[:queries]])
        if lacking := np.flatnonzero(np.isnan(curves[-1])).tolist():
            raise ValueError(
                f"{search.path}: {table.name} has no run of what it had found after {lacking[0] + 1} queries"
            )
    return np.array(curves)


def trajectory_fidelity(
    table: Table, surrogate: Table, on_table: Searches, on_surrogate: Searches, queries: int
) -> dict[str, Any]:
    """Compare searches on a surrogate's table with searches on the table it stands for.

    Returns:
        "agents": per agent the regret curves ("table_mean", the band "table_low" and "table_high",
        "surrogate_mean", and "found_mean": the regret on the table of what was found on the
        surrogate; fractions, one value per query), "final_std" (the standard deviation over searches of
        the final regrets behind the three means: "table", "surrogate", "found"), "inside" (which part of
        the queries the surrogate's mean lies in the band), "outside" (the ranges of queries where it does
        not), "apart" (the ranges where the two means are more than two standard errors of their difference
        apart, which is stricter), and "p_value" of the final regrets being alike (Mann-Whitney);
        "ranking_table", "ranking_surrogate": agents by mean final regret, best first;
        "ranking_tau": Kendall tau between the two;
        "clear_pairs", "clear_pairs_agree": how many pairs of agents differ in final regret on the
        table with p < 0.05, and how many of them the surrogate's means put in the same order.
    """
    agents = {}
    for agent in on_table.keys() & on_surrogate.keys():
        agents[agent] = _one_agent(table, surrogate, on_table[agent], on_surrogate[agent], queries)
    final = {
        kind: {agent: result[f"{kind}_mean"][-1] for agent, result in agents.items()}
        for kind in ("table", "surrogate")
    }
    names = sorted(agents)
    tau = kendall(*(np.array([final[kind][name] for name in names]) for kind in ("table", "surrogate")))
    return {
        "queries": queries,
        "agents": {name: agents[name] for name in names},
        "ranking_table": sorted(names, key=final["table"].__getitem__),
        "ranking_surrogate": sorted(names, key=final["surrogate"].__getitem__),
        "ranking_tau": tau,
    } | _clear_pairs(table, on_table, final["surrogate"], queries)


def _clear_pairs(
    table: Table, on_table: Searches, on_surrogate: Mapping[str, float], queries: int
) -> dict[str, int]:
    finals = {name: regret_curves(table, on_table[name], queries)[:, -1] for name in on_surrogate}
    clear = agree = 0
    for one, other in combinations(sorted(finals), 2):
        if stats.mannwhitneyu(finals[one], finals[other]).pvalue < CLEAR:
            clear += 1
            real = finals[one].mean() < finals[other].mean()
            agree += real == (on_surrogate[one] < on_surrogate[other])
    return {"clear_pairs": clear, "clear_pairs_agree": int(agree)}


def _one_agent(
    table: Table, surrogate: Table, real: Sequence[Trajectory], imagined: Sequence[Trajectory], queries: int
) -> dict[str, Any]:
    on_table = regret_curves(table, real, queries)
    on_surrogate = regret_curves(surrogate, imagined, queries)
    found = regret_curves(table, imagined, queries)
    curves = {"table": on_table, "surrogate": on_surrogate, "found": found}
    low, high = np.quantile(on_table, BAND, axis=0)
    mean = on_surrogate.mean(axis=0)
    outside = (mean < low) | (mean > high)
    apart = np.abs(mean - on_table.mean(axis=0)) > 2 * _standard_error(on_table, on_surrogate)
    return {
        "searches_table": len(real),
        "searches_surrogate": len(imagined),
        "table_mean": on_table.mean(axis=0).tolist(),
        "table_low": low.tolist(),
        "table_high": high.tolist(),
        "surrogate_mean": mean.tolist(),
        "found_mean": found.mean(axis=0).tolist(),
        "final_std": {name: float(some[:, -1].std()) for name, some in curves.items()},
        "inside": float(1 - outside.mean()),
        "outside": _ranges(outside),
        "apart": _ranges(apart),
        "p_value": float(stats.mannwhitneyu(on_table[:, -1], on_surrogate[:, -1]).pvalue),
    }


def _standard_error(one: FloatArray, other: FloatArray) -> FloatArray:
    """Of the difference of two means, query by query.

    Searches of one seed start alike, so where both sides have the same number they are compared seed
    by seed, which is stricter. A single search does not tell; its error is infinite.
    """
    if min(len(one), len(other)) < 2:
        return np.full(one.shape[1], np.inf)
    if len(one) == len(other):
        return np.asarray((one - other).std(axis=0, ddof=1) / np.sqrt(len(one)))
    return np.asarray(np.sqrt(one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other)))


def _ranges(flags: np.typing.NDArray[np.bool_]) -> list[list[int]]:
    """The first and last query of each stretch of flagged queries, counted from 1."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    return [[int(start) + 1, int(end)] for start, end in edges.reshape(-1, 2)]


def leave_one_out(table: Table, searches: Searches, random_state: int = 0) -> list[dict[str, Any]]:
    """Train on what one agent visited, test on what another did (and the first did not).

    In the manner of NAS-Bench-301 (Siems et al. 2020, leave-one-optimizer-out), with one agent on
    either side, which is harder. The row with test "everything" is tested on the whole rest of the
    space.

    Architectures of which the table has no run take no part.

    Returns:
        One row per ordered pair of agents: "train", "test", how many architectures each, and the
        scores "kendall_tau", "sparse_kendall_tau" and "r2".
    """
    truth = table.accuracy(split="valid", epochs=table.epochs, run="mean")
    held = np.flatnonzero(~np.isnan(truth))
    visited = {
        agent: np.intersect1d(np.concatenate([s.index for s in some]), held)
        for agent, some in searches.items()
    }
    tests = visited | {"everything": held}
    rows = []
    for agent, train in visited.items():
        model = SurrogateRegressor(random_state=random_state).fit(all_ops()[train], truth[train])
        predicted = model.predict(all_ops())
        for other, index in tests.items():
            rest = np.setdiff1d(index, train)
            if other != agent and len(rest) > 1:
                rows.append({"train": agent, "test": other, "trained_on": len(train), "tested_on": len(rest)}
                            | _scores(truth[rest], predicted[rest]))  # fmt: skip
    return rows


def _scores(truth: FloatArray, predicted: FloatArray) -> dict[str, float]:
    return {
        "kendall_tau": kendall(truth, predicted),
        "sparse_kendall_tau": sparse_kendall_tau(truth, predicted),
        "r2": 1 - float(((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()),
    }
