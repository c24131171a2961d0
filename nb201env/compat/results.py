"""`ArchResults` as the official API has it: all trainings of an architecture, from tables and as text."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nb201env import cost
from nb201env.architecture import Architecture
from nb201env.compat.runs import Metrics, ResultsCount
from nb201env.missing import see_page
from nb201env.official import TASKS
from nb201env.table import NotRecorded, Table


class ArchResults:
    """All trainings of one architecture with one schedule.

    A table of means over runs has no run to name or to draw: it has no seeds, and answers
    ``is_random=False`` only.

    Args:
        architecture: Which one.
        tables: Official data set key ("cifar10-valid", …) to the table that holds it.
        rng: Draws the run where one is to be drawn; by default Python's global generator.
    """

    clear_net_done = True

    def __init__(
        self, architecture: Architecture, tables: dict[str, Table], rng: random.Random | None = None
    ) -> None:
        self.arch_index, self.arch_str = architecture.official_index, str(architecture)
        self._draw = random if rng is None else rng
        self.all_results: dict[tuple[str, int], ResultsCount] = {}
        self.dataset_seed: dict[str, list[int]] = {}
        self._means: dict[str, tuple[ResultsCount, set[str]]] = {}
        for dataset, table in tables.items():
            seeds, means = held(table, architecture)
            if seeds or means:
                self.dataset_seed[dataset] = seeds
            if means:
                self._means[dataset] = ResultsCount(table, architecture, None), means
            for seed in seeds:
                self.all_results[dataset, seed] = ResultsCount(table, architecture, seed)

    def get_dataset_names(self) -> list[str]:
        """The data sets there are results for."""
        return list(self.dataset_seed)

    def get_dataset_seeds(self, dataset: str) -> list[int]:
        """The seeds of the runs on a data set; none where there are only means over runs."""
        if dataset not in self.dataset_seed:
            held = ", ".join(self.dataset_seed) or "none"
            lacks = f"no run of architecture {self.arch_index} on {dataset!r}; there are runs on {held}"
            raise NotRecorded(see_page(lacks) if dataset in TASKS else lacks)
        return list(self.dataset_seed[dataset])

    def draw(self, dataset: str) -> int:
        """The seed of a drawn run on a data set."""
        seeds = self.get_dataset_seeds(dataset)
        if not seeds:
            raise NotRecorded(
                f"of architecture {self.arch_index} on {dataset!r} there are only means over runs, so none "
                "can be drawn; say is_random=False"
            )
        return self._draw.choice(seeds)

    def query(self, dataset: str, seed: int | None = None) -> Any:
        """The run of one seed, or all by seed."""
        if seed is None:
            return {s: self.all_results[dataset, s] for s in self.get_dataset_seeds(dataset)}
        return self._runs(dataset, seed)[0]

    def get_metrics(
        self, dataset: str, setname: str, iepoch: int | None = None, is_random: bool | int = False
    ) -> Metrics:
        """Loss, accuracy and seconds on one set: of a drawn run, of a seed, or the mean.

        A mean is over all runs: where one of them lacks a number, it is None.
        """
        if is_random is True:
            is_random = self.draw(dataset)
        runs = self._runs(dataset, None if is_random is False else is_random)
        if is_random is False and dataset in self._means:
            mean_run, splits = self._means[dataset]
            if not runs or ({"train": "train"} | TASKS[dataset].sets).get(setname) in splits:
                runs = [mean_run]
        found = [
            run.get_train(iepoch) if setname == "train" else run.get_eval(setname, iepoch) for run in runs
        ]
        if len(found) == 1:
            return found[0]
        return {key: mean([metrics[key] for metrics in found]) for key in found[0]}

    def why_not(self, dataset: str, column: str, iepoch: int | None, is_random: bool | int) -> str:
        """Why `get_metrics` has no number of a column."""
        runs = self._runs(dataset, None if is_random is False else is_random)
        run = (runs or [self._means[dataset][0]])[0]
        return run.why_not(column, iepoch)

    def get_compute_costs(self, dataset: str) -> Metrics:
        """Millions of multiply-accumulates and parameters, latency and times, as means over runs."""
        seeds = self.get_dataset_seeds(dataset)
        runs = self._runs(dataset, None) or [self._means[dataset][0]]
        latencies = [latency for run in runs if (latency := run.get_latency()) > 0]
        costs = {
            "flops": self._one_size(dataset, "macs", [run.flop for run in runs], seeds),
            "params": self._one_size(dataset, "params", [run.params for run in runs], seeds),
            "latency": mean(latencies) if latencies else None,
        }
        times = [run.get_times() for run in runs]
        return costs | {key: mean([time[key] for time in times]) for key in times[0]}

    def get_latency(self, dataset: str) -> float:
        """Seconds for a batch of 256 images, mean over runs.

        Raises:
            NotRecorded: If it was not recorded.
        """
        latency = self.get_compute_costs(dataset)["latency"]
        if latency is None:
            raise NotRecorded(f"no latency of architecture {self.arch_index} on {dataset!r} was recorded")
        return float(latency)

    def get_total_epoch(self, dataset: str | None = None) -> int:
        """The schedule's length in epochs."""
        means = (run for run, _ in self._means.values())
        return next(iter([*self.all_results.values(), *means])).epochs

    def get_net_param(self, dataset: str, seed: int | None = None) -> Any:
        """None for every run: tables hold no weights."""
        if seed is None:
            return dict.fromkeys(self.get_dataset_seeds(dataset))
        return self._runs(dataset, seed)[0].get_net_param()

    def arch_idx_str(self) -> str:
        """The index as in the official file names."""
        return f"{self.arch_index:06d}"

    def clear_params(self) -> None:
        """Nothing to do: tables hold no weights."""

    def show(self, is_print: bool = False) -> list[str]:
        """The lines that describe it, also printed if so asked; a method of ``nas_201_api`` 1.x and 2.x."""
        lines = describe(self, joint=", ")
        if is_print:
            print("\n".join(lines))
        return lines

    def state_dict(self) -> dict[str, Any]:
        """What the official files hold for this architecture and schedule."""
        return {
            "arch_index": self.arch_index,
            "arch_str": self.arch_str,
            "all_results": {key: run.state_dict() for key, run in self.all_results.items()},
            "dataset_seed": copy.deepcopy(self.dataset_seed),
            "clear_net_done": True,
        }

    def __repr__(self) -> str:
        return (
            f"ArchResults(arch-index={self.arch_index}, arch={self.arch_str}, {len(self.all_results)} runs)"
        )

    def _runs(self, dataset: str, seed: int | None) -> list[ResultsCount]:
        seeds = self.get_dataset_seeds(dataset)
        if seed is None:
            return [self.all_results[dataset, s] for s in seeds]
        if seed not in seeds:
            raise ValueError(
                f"no run of seed {seed!r} on {dataset!r}; architecture {self.arch_index} has {seeds}"
            )
        return [self.all_results[dataset, seed]]

    def _one_size(self, dataset: str, column: str, values: list[float], seeds: list[int]) -> float:
        """The mean; where runs disagree seed 888's, which the official API (1.6) holds right.

        Where they disagree and 888 is missing, the closed form, which equals seed 888's.
        """
        if len({f"{value:.5f}" for value in values}) > 1:
            if 888 in seeds:
                return values[seeds.index(888)]
            index = Architecture.from_official_index(self.arch_index).index
            return float(cost.CLOSED_FORMS[column](index, TASKS[dataset].dataset)) / 1e6
        return sum(values) / len(values)


class Infos(Mapping[int, dict[str, ArchResults]]):
    """The official ``arch2infos_dict``: official index to schedule ("12", "200") to `ArchResults`.

    Args:
        indices: The official indices of architectures with results, ascending.
        tables: Epochs to data set key to table.
        rng: As for `ArchResults`.
    """

    def __init__(
        self, indices: list[int], tables: Mapping[int, dict[str, Table]], rng: random.Random | None = None
    ) -> None:
        self._indices, self._tables, self._rng = dict.fromkeys(indices), tables, rng

    def __getitem__(self, index: int) -> dict[str, ArchResults]:
        if index not in self._indices:
            raise KeyError(f"the tables hold no run of architecture {index}")
        architecture = Architecture.from_official_index(index)
        found = {
            str(epochs): ArchResults(architecture, tables, self._rng)
            for epochs, tables in sorted(self._tables.items())
        }
        return {hp: results for hp, results in found.items() if results.dataset_seed}

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


def held(table: Table, architecture: Architecture) -> tuple[list[int], set[str]]:
    """The seeds of an architecture's recorded runs, and the splits of which there is only the mean."""
    runs, means = np.zeros(len(table.seeds), dtype=bool), set()
    for column in table.columns:
        if column.endswith("_accuracy"):
            numbers = ~np.isnan(table.record(architecture, column))
            if numbers.ndim:
                runs |= numbers.reshape(len(runs), -1).any(axis=1)
            elif numbers:
                means.add(column.partition("_")[0])
    return [table.seeds[run] for run in np.flatnonzero(runs).tolist()], means


def mean(values: list[Any]) -> Any:
    """The mean in the official order of addition; None if any is."""
    return None if None in values else sum(values) / len(values)


# -- text ------------------------------------------------------------------------------------


def describe(results: ArchResults, extra_info: Any = None, *, joint: str = " & ") -> list[str]:
    """The lines of `query_info_str_by_arch`: size, latency, and final metrics on each data set.

    Args:
        results: What is described.
        extra_info: For the second line.
        joint: What stands between loss and accuracy: " & " in ``nats_bench``, ", " in ``nas_201_api``.
    """
    names = results.get_dataset_names()
    lines = [results.arch_str, f"datasets : {names}, extra-info : {extra_info}"]
    for name in names:
        costs = results.get_compute_costs(name)
        latency = "None" if costs["latency"] is None else f"{costs['latency'] * 1000:.2f}"
        lines.append(
            f"{name:14s} FLOP={costs['flops']:6.2f} M, Params={costs['params']:.3f} MB, latency={latency} ms."
        )
        lines.append(f"{name:14s} " + ", ".join(_sets(results, name, joint)))
    return lines


def _sets(results: ArchResults, name: str, joint: str) -> list[str]:
    sets = {"train": "train"} | {split: official for official, split in TASKS[name].sets.items()}
    # The official text leaves out the test set of cifar10-valid.
    splits = ("train", "valid") if name == "cifar10-valid" else ("train", "valid", "test")
    parts = []
    for split in splits:
        if split in sets:
            title = "test " if (name, split) == ("cifar10", "test") else split
            parts.append(f"{title} : [{_numbers(results, name, sets[split], joint)}]")
    return parts


def _numbers(results: ArchResults, name: str, setname: str, joint: str) -> str:
    try:
        found: Metrics = results.get_metrics(name, setname)
    except NotRecorded:
        return "not recorded"
    if found["loss"] is found["accuracy"] is None:
        return "not recorded"
    loss = "None" if found["loss"] is None else f"{found['loss']:.3f}"
    accuracy = "None" if found["accuracy"] is None else f"{found['accuracy']:.2f}%"
    return f"loss = {loss}{joint}top1 = {accuracy}"
