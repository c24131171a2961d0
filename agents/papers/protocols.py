"""The papers' protocols: how long an agent searches on what, and where its find is looked up.

``nb201`` (NAS-Bench-201) searches on CIFAR-10 alone and looks the find up on all three data
sets; ``nats`` (NATS-Bench) searches on each data set. Both search with the accuracies of 12-epoch
trainings and report those of 200-epoch trainings. Use::

    sources = reference_sources("nb201_cifar10.csv", folder)     # or official_sources()
    outcomes = run_protocol("nb201", "random_search", range(500), sources)
    print(spread(outcomes, "cifar10", "test", sources), published("nb201", "random_search"))
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nb201env.agents.papers.published import DATASETS, Spread, published
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import Search, run_all
from nb201env.agents.searches.trajectory import read
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.envs.registration import OFFICIAL
from nb201env.sources.rows import import_rows
from nb201env.tables import embedded, home, open_table, own


@dataclass(frozen=True)
class Protocol:
    """How a paper searches.

    Attributes:
        name: "nb201" or "nats".
        paper: Which paper.
        seconds: The budget by data set searched on, in simulated seconds.
        overshoot: Whether the query that exceeds the budget counts ("allow") or not ("drop").
        transfers: Whether a find is looked up on all data sets, or on the one it was found on.
    """

    name: str
    paper: str
    seconds: Mapping[str, float]
    overshoot: str
    transfers: bool

    def looked_up(self, dataset: str) -> tuple[str, ...]:
        """The data sets on which what was found on `dataset` is looked up."""
        return DATASETS if self.transfers else (dataset,)


PROTOCOLS: dict[str, Protocol] = {
    "nb201": Protocol("nb201", "NAS-Bench-201, table 5", {"cifar10": 12_000.0}, "drop", transfers=True),
    "nats": Protocol(
        "nats",
        "NATS-Bench, table 4",
        {"cifar10": 20_000.0, "cifar100": 40_000.0, "ImageNet16-120": 120_000.0},
        "allow",
        transfers=False,
    ),
}
"""The presets by name."""


@dataclass(frozen=True)
class Sources:
    """Which tables a protocol uses; names or paths, absent where there is none.

    Attributes:
        search: By data set, the table of 12-epoch trainings that is searched on.
        valid: By data set, the table of 200-epoch trainings with the validation accuracy.
        test: The same with the test accuracy.
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
        csv: One row per architecture in per cent, with the columns index, cifar10_test_acc_200,
            cifar10_valid_acc_12 and cifar10_train_seconds_12.
        folder: Where the two tables go.
    """
    folder = Path(folder)
    common: dict[str, Any] = {"key": "index", "dataset": "cifar10", "percent": True}
    short = import_rows(
        csv, folder / "published-cifar10-valid-12.safetensors", **common,
        columns={"cifar10_valid_acc_12": "valid_accuracy@12", "cifar10_train_seconds_12": "train_seconds@12"},
        name="published-cifar10-valid-12", task="cifar10-valid", epochs=12,
    )  # fmt: skip
    long = import_rows(
        csv, folder / "published-cifar10-200.safetensors", **common,
        columns={"cifar10_test_acc_200": "test_accuracy@200"}, name="published-cifar10-200", epochs=200,
    )  # fmt: skip
    embedded = {open_table(name).dataset: name for name in OFFICIAL.values()}
    return Sources(
        search={"cifar10": str(short.container.path)},
        valid=embedded,
        test={"cifar10": str(long.container.path)},
    )


def official_sources(prefix: str = "official-") -> Sources:
    """The tables that ``nb201 table import`` makes of the official files; nothing is missing then."""
    return Sources(
        search={d: f"{prefix}{'cifar10-valid' if d == 'cifar10' else d}-12" for d in DATASETS},
        valid={d: f"{prefix}{'cifar10-valid' if d == 'cifar10' else d}-200" for d in DATASETS},
        test={d: f"{prefix}{d}-200" for d in DATASETS},
    )


def find_sources() -> Sources:
    """The tables at hand by name: the imported official ones, else those of `reference_sources`."""
    present = {*own(), *embedded()}

    def pick(**names: Sequence[str]) -> dict[str, str]:
        found = {d: next((n for n in candidates if n in present), None) for d, candidates in names.items()}
        return {dataset: name for dataset, name in found.items() if name is not None}

    official = official_sources()
    embedded_valid = {open_table(name).dataset: name for name in OFFICIAL.values()}
    short, long = {"cifar10": "published-cifar10-valid-12"}, {"cifar10": "published-cifar10-200"}
    return Sources(
        search=pick(**{d: (official.search[d], short.get(d, "")) for d in DATASETS}),
        valid=pick(**{d: (official.valid[d], embedded_valid[d]) for d in DATASETS}),
        test=pick(**{d: (official.test[d], long.get(d, "")) for d in DATASETS}),
    )


@dataclass(frozen=True)
class Found:
    """What one search of a protocol found.

    Attributes:
        seed: The search's.
        architecture: The best of what it asked, by the accuracy that it was answered.
        queries: How many it asked.
        clock: Simulated seconds spent.
    """

    seed: int
    architecture: Architecture
    queries: int
    clock: float


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
    rules = _protocol(protocol)
    if dataset not in rules.seconds:
        raise ValueError(f"{rules.name} searches on {', '.join(rules.seconds)}, not on {dataset!r}")
    if dataset not in sources.search:
        raise ValueError(f"no table of 12-epoch trainings on {dataset}; there is one of "
                         f"{', '.join(sources.search) or 'no data set'}")  # fmt: skip
    table = sources.search[dataset]
    env_kwargs = {
        "table": table,
        "overshoot": rules.overshoot,
        "run": "sample" if open_table(table).seeds else "mean",
    }
    budget = {"budget_seconds": rules.seconds[dataset]}
    env_id = f"NB201-{dataset}-v0"
    return [
        Search(agent, env_id, seed, budget, folder, dict(agent_kwargs or {}), env_kwargs) for seed in seeds
    ]


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
) -> list[Found]:
    """Search as a paper did.

    Args:
        protocol: "nb201", "nats" or one of your own.
        agent: A name in `nb201env.agents.registry.AGENTS`.
        seeds: One search each.
        sources: The tables.
        dataset: Searched on.
        agent_kwargs: Hyper-parameters that differ from their defaults.
        jobs: Processes; the results do not depend on it.
        folder: Where the trajectories go; None throws them away.

    Raises:
        ValueError: See `searches`.
        RuntimeError: If a search failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        plan = searches(
            protocol,
            agent,
            seeds,
            sources,
            Path(folder or scratch),
            dataset=dataset,
            agent_kwargs=agent_kwargs,
        )
        if failures := run_all(plan, jobs, lambda *_: None):
            raise RuntimeError(f"{len(failures)} searches failed, the first: {failures[0].reason}")
        return [found(search) for search in plan]


def found(search: Search) -> Found:
    """What a finished search found, from its trajectory."""
    trajectory = read(search.path)
    architecture = Architecture.from_index(int(trajectory.incumbents()[-1]))
    return Found(search.seed, architecture, len(trajectory.queries), float(trajectory.clock[-1]))


def spread(outcomes: Sequence[Found], dataset: str, split: str, sources: Sources) -> Spread | None:
    """Mean and standard deviation of the finds' 200-epoch accuracy; None where no table has it."""
    accuracy = sources.accuracy(dataset, split)
    if accuracy is None:
        return None
    values = accuracy[[outcome.architecture.index for outcome in outcomes]]
    return Spread(float(values.mean()), float(values.std()))


def _protocol(protocol: str | Protocol) -> Protocol:
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}; the protocols are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]


__all__ = [
    "PROTOCOLS",
    "Found",
    "Protocol",
    "Sources",
    "Spread",
    "find_sources",
    "found",
    "official_sources",
    "published",
    "reference_sources",
    "run_protocol",
    "searches",
    "spread",
]


def plan_protocol(
    protocol: str,
    agents: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    agent_kwargs: Mapping[str, dict[str, Any]] | None = None,
) -> list[Search]:
    """The searches of a paper's protocol, on every data set of it whose 12-epoch table is at hand.

    Raises:
        ValueError: As `plan`; also if there is no such protocol.
        FileNotFoundError: If no such table is at hand.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol {protocol!r}; the protocols are {', '.join(PROTOCOLS)}")
    sources = find_sources()
    at_hand = [dataset for dataset in PROTOCOLS[protocol].seconds if dataset in sources.search]
    if not at_hand:
        raise FileNotFoundError(
            f"protocol {protocol} searches tables of 12-epoch trainings, such as "
            f"{official_sources().search['cifar10']}, and {home()} has none: import the official files "
            "(nb201 table import)"
        )
    planned: list[Search] = []
    for dataset in at_hand:
        first = searches(protocol, agents[0], seeds[:1], sources, out, dataset=dataset)[0]
        arguments = first.budget, out, agent_kwargs, first.env_kwargs
        planned += plan(agents, [first.env_id], seeds, *arguments)
    return planned
