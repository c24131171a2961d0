"""Protocols: how long an agent searches on what, and where its find is looked up.

Two are papers'. ``nb201`` (NAS-Bench-201) searches on CIFAR-10 alone and looks the find up on all three data
sets; ``nats`` (NATS-Bench) searches on each data set. Both search with the accuracies of 12-epoch
trainings and report those of 200-epoch trainings. The third, ``k30``, is ours: 30 queries on each data set,
answered from the 200-epoch trainings that the find is judged by. Use::

    sources = reference_sources("nb201_cifar10.csv", folder)     # or official_sources()
    outcomes = run_protocol("nb201", "random_search", range(500), sources)
    print(spread(outcomes, "cifar10", "test", sources), published("nb201", "random_search"))
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nb201env.agents.papers.published import DATASETS
from nb201env.agents.searches.outcome import Outcome, Spread, outcome
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import Search, run_all
from nb201env.arrays import FloatArray
from nb201env.envs.registration import OFFICIAL
from nb201env.missing import PAGE
from nb201env.reading import Budget
from nb201env.sources.rows import import_rows
from nb201env.tables import embedded, home, open_table, own
from nb201env.trajectory import read


@dataclass(frozen=True)
class Protocol:
    """How to search.

    Attributes:
        name: "nb201", "nats" or "k30".
        paper: Which paper, or what it is.
        seconds: The budget by data set searched on, in simulated seconds.
        overshoot: Whether the query that exceeds such a budget counts ("allow") or not ("drop").
        transfers: Whether a find is looked up on all data sets, or on the one it was found on.
        queries: The budget by data set searched on, in queries; of a protocol without seconds. It searches
            in the registered environments as they are, on the embedded tables of 200-epoch trainings.
        seeds: Those of a benchmark that names none.
        hyperparameters: By agent, those with which it is compared with the paper's row, where they are not
            its defaults.
    """

    name: str
    paper: str
    seconds: Mapping[str, float]
    overshoot: str
    transfers: bool
    queries: Mapping[str, int] = field(default_factory=dict)
    seeds: str = "0-9"
    hyperparameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def budgets(self) -> dict[str, Budget]:
        """The budget by data set searched on, as environments take it."""
        return {dataset: {"budget_seconds": seconds} for dataset, seconds in self.seconds.items()} | {
            dataset: {"budget_queries": queries} for dataset, queries in self.queries.items()
        }

    def settings(self, agent: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """An agent's hyper-parameters: those of the protocol and those given, of which the latter count."""
        return {**self.hyperparameters.get(agent, {}), **(given or {})}

    def looked_up(self, dataset: str) -> tuple[str, ...]:
        """The data sets on which what was found on `dataset` is looked up."""
        return DATASETS if self.transfers else (dataset,)


PROTOCOLS: dict[str, Protocol] = {
    "nb201": Protocol(
        "nb201",
        "NAS-Bench-201, table 5",
        {"cifar10": 12_000.0},
        "drop",
        transfers=True,
        # Chosen because it agrees with the published row; see docs/published.md.
        hyperparameters={"reinforce": {"learning_rate": 0.03}},
    ),
    "nats": Protocol(
        "nats",
        "NATS-Bench, table 4",
        {"cifar10": 20_000.0, "cifar100": 40_000.0, "ImageNet16-120": 120_000.0},
        "allow",
        transfers=False,
    ),
}
"""The papers' presets by name."""

K30 = Protocol(
    "k30", "30 queries", {}, "allow", transfers=False, queries=dict.fromkeys(DATASETS, 30), seeds="0-29"
)
"""As few questions as newer studies let a language model ask."""

PRESETS: dict[str, Protocol] = {**PROTOCOLS, K30.name: K30}
"""All presets by name."""


@dataclass(frozen=True)
class Sources:
    """Which tables a protocol uses; names or paths, absent where there is none.

    Attributes:
        search: By data set, the table of 12-epoch trainings that is searched on.
        valid: By data set, the table of 200-epoch trainings with the validation accuracy.
        test: By data set, the table of 200-epoch trainings with the test accuracy.
    """

    search: Mapping[str, str]
    valid: Mapping[str, str] = field(default_factory=dict)
    test: Mapping[str, str] = field(default_factory=dict)

    def accuracy(self, dataset: str, split: str) -> FloatArray | None:
        """The mean 200-epoch accuracy of every architecture, or None where no table has it."""
        name = (self.valid if split == "valid" else self.test).get(dataset)
        if name is None:
            return None
        return open_table(name).accuracy(split=split, epochs=200, run="mean")


def reference_sources(csv: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Sources:
    """Tables from a CSV of the published CIFAR-10 numbers, and the embedded ones for validation.

    There is no test accuracy of CIFAR-100 and ImageNet16-120 in them, nor their 12-epoch
    trainings. The 12-epoch accuracy is a mean over seeds, where the papers draw one of them.

    Args:
        csv: One row per architecture in per cent, with the columns index (official), cifar10_test_acc_200,
            cifar10_valid_acc_12 and cifar10_train_seconds_12.
        folder: Where the two tables go.
    """
    folder = Path(folder)
    common: dict[str, Any] = {"key": "index", "index": "official", "dataset": "cifar10", "percent": True}
    short = import_rows(
        csv, folder / "published-cifar10-valid-12.safetensors", **common,
        columns={"cifar10_valid_acc_12": "valid_accuracy@12", "cifar10_train_seconds_12": "train_seconds@12"},
        name="published-cifar10-valid-12", task="cifar10-valid", epochs=12,
    )  # fmt: skip
    long = import_rows(
        csv, folder / "published-cifar10-200.safetensors", **common,
        columns={"cifar10_test_acc_200": "test_accuracy@200"}, name="published-cifar10-200", epochs=200,
    )  # fmt: skip
    return Sources(
        search={"cifar10": str(short.container.path)},
        valid=_embedded_valid(),
        test={"cifar10": str(long.container.path)},
    )


def official_sources() -> Sources:
    """The tables that ``nb201 table import`` makes of the official files; nothing is missing then."""
    searched = {dataset: "cifar10-valid" if dataset == "cifar10" else dataset for dataset in DATASETS}
    return Sources(
        search={dataset: f"official-{task}-12" for dataset, task in searched.items()},
        valid={dataset: f"official-{task}-200" for dataset, task in searched.items()},
        test={dataset: f"official-{dataset}-200" for dataset in DATASETS},
    )


def find_sources() -> Sources:
    """The tables at hand by name: the imported official ones, else those of `reference_sources`."""
    present, official = {*own(), *embedded()}, official_sources()

    def pick(imported: Mapping[str, str], otherwise: Mapping[str, str]) -> dict[str, str]:
        named = [*otherwise.items(), *imported.items()]  # the later one of a data set counts
        return {dataset: name for dataset, name in named if name in present}

    return Sources(
        search=pick(official.search, {"cifar10": "published-cifar10-valid-12"}),
        valid=pick(official.valid, _embedded_valid()),
        test=pick(official.test, {"cifar10": "published-cifar10-200"}),
    )


def _embedded_valid() -> dict[str, str]:
    """The embedded tables of 200-epoch trainings, which hold validation accuracies, by data set."""
    return {open_table(name).dataset: name for name in OFFICIAL.values()}


def searches(
    protocol: str | Protocol,
    agent: str,
    seeds: Iterable[int],
    sources: Sources,
    folder: Path,
    *,
    dataset: str = "cifar10",
    agent_kwargs: Mapping[str, Any] | None = None,
) -> list[Search]:
    """The searches of a protocol, for `nb201env.agents.searches.runner.run_all`.

    Raises:
        ValueError: If there is no such protocol, or it does not search on that data set, or there
            is no table for it.
    """
    rules = find_protocol(protocol)
    if dataset not in rules.budgets:
        raise ValueError(f"{rules.name} searches on {', '.join(rules.budgets)}, not on {dataset!r}")
    env_kwargs = {} if dataset in rules.queries else _short_trainings(rules, sources, dataset)
    budget, env_id = rules.budgets[dataset], f"NB201-{dataset}-v0"
    settings = rules.settings(agent, agent_kwargs)
    return [Search(agent, env_id, seed, budget, folder, settings, env_kwargs) for seed in seeds]


def _short_trainings(rules: Protocol, sources: Sources, dataset: str) -> dict[str, Any]:
    """The environment's arguments for a search on a table of 12-epoch trainings."""
    if dataset not in sources.search:
        raise ValueError(f"no table of 12-epoch trainings on {dataset}; there is one of "
                         f"{', '.join(sources.search) or 'no data set'}")  # fmt: skip
    table = sources.search[dataset]
    run = "sample" if open_table(table).seeds else "mean"
    return {"table": table, "overshoot": rules.overshoot, "run": run}


def run_protocol(
    protocol: str | Protocol,
    agent: str,
    seeds: Iterable[int],
    sources: Sources,
    *,
    dataset: str = "cifar10",
    agent_kwargs: Mapping[str, Any] | None = None,
    jobs: int = 1,
    folder: str | os.PathLike[str] | None = None,
) -> list[Outcome]:
    """Search as a protocol says.

    Args:
        protocol: "nb201", "nats", "k30" or one of your own.
        agent: A name in `nb201env.agents.registry.AGENTS`.
        seeds: One search each.
        sources: The tables.
        dataset: Searched on.
        agent_kwargs: Hyper-parameters that differ from the protocol's and from their defaults.
        jobs: Processes; the results do not depend on it.
        folder: Where the trajectories go; None throws them away.

    Raises:
        ValueError: See `searches`.
        RuntimeError: If a search failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(folder or scratch)
        plan = searches(protocol, agent, seeds, sources, out, dataset=dataset, agent_kwargs=agent_kwargs)
        if failures := run_all(plan, jobs, lambda *_: None):
            raise RuntimeError(f"{len(failures)} searches failed, the first: {failures[0].reason}")
        return [outcome(read(search.path), search.table) for search in plan]


def found_accuracy(
    outcomes: Sequence[Outcome], dataset: str, split: str, sources: Sources
) -> FloatArray | None:
    """The finds' 200-epoch accuracy, fractions, float64 [searches]; None where no table has it."""
    accuracy = sources.accuracy(dataset, split)
    return None if accuracy is None else accuracy[[found.chosen for found in outcomes]]


def spread(outcomes: Sequence[Outcome], dataset: str, split: str, sources: Sources) -> Spread | None:
    """Mean and standard deviation of the finds' 200-epoch accuracy; None where no table has it."""
    accuracy = found_accuracy(outcomes, dataset, split, sources)
    return None if accuracy is None else Spread.of(accuracy)


def find_protocol(protocol: str | Protocol) -> Protocol:
    """A preset by name, or the protocol itself.

    Raises:
        ValueError: If there is no such preset.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PRESETS:
        raise ValueError(f"unknown protocol {protocol!r}; the protocols are {', '.join(PRESETS)}")
    return PRESETS[protocol]


def plan_protocol(
    protocol: str | Protocol,
    agents: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    agent_kwargs: Mapping[str, dict[str, Any]] | None = None,
) -> list[Search]:
    """The searches of a protocol, on every data set of it whose table is at hand.

    Raises:
        ValueError: As `plan`; also if there is no such protocol.
        FileNotFoundError: If no such table is at hand.
    """
    rules, sources = find_protocol(protocol), find_sources()
    at_hand = [dataset for dataset in rules.budgets if dataset in {**rules.queries, **sources.search}]
    if not at_hand:
        raise FileNotFoundError(
            f"protocol {rules.name} searches tables of 12-epoch trainings, such as "
            f"{official_sources().search['cifar10']}, and {home()} has none: import the official files "
            f"(nb201 table import; {PAGE})"
        )
    planned: list[Search] = []
    for dataset in at_hand:
        first = searches(rules, agents[0], seeds[:1], sources, out, dataset=dataset)[0]
        planned += plan(agents, [first.env_id], seeds, first.budget, out, agent_kwargs, first.env_kwargs)
    return [replace(one, agent_kwargs=rules.settings(one.agent, one.agent_kwargs)) for one in planned]
