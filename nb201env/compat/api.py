"""The methods of ``nats_bench`` 1.8 over our tables."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np

from nb201env.architecture import Architecture, official_strings
from nb201env.arrays import FloatArray
from nb201env.classes import unique_string
from nb201env.compat import traps
from nb201env.compat.choice import Source, by_schedule, tables_of
from nb201env.compat.lookup import (
    all_splits,
    any_held,
    mean_of_held,
    millions,
    official_index,
    remap,
    runs_held,
)
from nb201env.compat.results import ArchResults, Infos, describe
from nb201env.compat.runs import ResultsCount, percent
from nb201env.compat.traps import UNSET, Info, Trap, Unset
from nb201env.missing import not_recorded, see_page
from nb201env.official import DATASETS, SCHEDULES
from nb201env.space import EDGES, OPS, SIZE, official_order
from nb201env.table import NotRecorded, Table

Hp = str | int | Unset


class NATStopology:
    """What ``nats_bench.create(..., "tss")`` returns, backed by our tables.

    The same methods with the same arguments give the same numbers: accuracies in per cent, sizes
    in millions, epochs counted from 0. Accuracies agree to 2e-7 per cent (tables hold counts of
    correct images, official percentages carry rounding noise); losses and times are equal.

    Where the official answer is a trap (a schedule or a run that nobody asked for, another split's
    number, an unknown architecture's index), strict mode raises `Trap`; with ``strict=False`` the
    official behaviour is reproduced.

    ``strict=False`` never makes up a number that is not in the tables, but makes do with less: where
    no validation pass was timed the clock counts the training alone, and where there are tables of one
    schedule only, calls that say another are answered from it, with a warning.

    Args:
        file_path_or_dict: The tables to answer from, one per task and schedule: a mapping, a list, or a
            folder of table files; None for one's own in ``NB201_HOME`` and the embedded ones.
        fast_mode: Accepted and ignored: tables always open in milliseconds.
        verbose: Accepted and ignored.
        strict: Raise instead of guessing.
        seed: Draw runs with an own generator; None for Python's global one, as the official API does.

    Raises:
        ValueError: If there are no official tables, or two of one task and schedule.
        FileNotFoundError: If there is no such file or folder.
    """

    search_space_name = "topology"
    full_train_epochs = 200
    full_epochs_in_paper = 200
    is_topology, is_size = True, False
    fast_mode, archive_dir, filename = False, None, None
    _joint = " & "

    def __init__(
        self,
        file_path_or_dict: Source = None,
        fast_mode: bool = False,
        verbose: bool = True,
        *,
        strict: bool = True,
        seed: int | None = None,
    ) -> None:
        self.strict, self.verbose = strict, verbose
        self.meta_archs = official_strings()
        self.archstr2index = {text: index for index, text in enumerate(self.meta_archs)}
        self._rng = None if seed is None else random.Random(seed)
        self._used_time = 0.0
        self._warned = False
        self._tables = by_schedule(tables_of(file_path_or_dict))

    # -- architectures -----------------------------------------------------------------------

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> str:
        return self.meta_archs[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.meta_archs)

    def arch(self, index: int) -> str:
        """The architecture string of an official index."""
        return self.meta_archs[official_index(index)]

    def random(self) -> int:
        """A random official index."""
        return (random if self._rng is None else self._rng).randint(0, SIZE - 1)

    def query_index_by_arch(self, arch: Any) -> int:
        """The official index of a string, an index, or an object with `tostr`."""
        if isinstance(arch, Architecture):
            return arch.official_index
        if isinstance(arch, int | np.integer):
            return official_index(arch)
        text = arch.tostr() if hasattr(arch, "tostr") else arch
        index = self.archstr2index.get(text, -1) if isinstance(text, str) else -1
        if index < 0 and self.strict:
            raise Trap(traps.UNKNOWN.format(text=text))
        return index

    def get_unique_str(self, arch: Any) -> str:
        """The official unique string: equal for isomorphic architectures."""
        return unique_string(Architecture.parse(self.meta_archs[self.query_index_by_arch(arch)]))

    @staticmethod
    def str2lists(arch_str: str) -> list[tuple[tuple[str, int], ...]]:
        """For each node, its inputs as (op, node) pairs."""
        groups = [group.strip("|").split("|") for group in arch_str.split("+")]
        return [tuple((op, int(node)) for op, _, node in (x.partition("~") for x in g)) for g in groups]

    @staticmethod
    def str2matrix(arch_str: str, search_space: tuple[str, ...] = OPS) -> FloatArray:
        """Op numbers as a lower triangular matrix [4, 4]: row = to node, column = from node."""
        matrix = np.zeros((4, 4))
        for (source, target), name in zip(EDGES, Architecture.parse(arch_str).names, strict=True):
            matrix[target, source] = search_space.index(name)
        return matrix

    # -- what there is -----------------------------------------------------------------------

    @property
    def avaliable_hps(self) -> list[str]:
        """The schedules there are tables for (the official spelling)."""
        return [str(epochs) for epochs in sorted(self._tables)]

    @property
    def evaluated_indexes(self) -> Collection[int]:
        """The official indices of architectures with results; a set."""
        held = np.any([any_held(table) for table in self._every()], axis=0)
        return set(np.flatnonzero(held[official_order()]).tolist())

    @property
    def arch2infos_dict(self) -> Infos:
        """Official index to schedule to `ArchResults`, of architectures with results."""
        return Infos(sorted(self.evaluated_indexes), self._tables, self._rng)

    @property
    def used_time(self) -> float:
        """Seconds on the simulated clock."""
        return self._used_time

    def reset_time(self) -> None:
        """Set the simulated clock to zero."""
        self._used_time = 0.0

    def statistics(self, dataset: str, hp: str | int) -> dict[int, int]:
        """How many architectures have how many runs; means over runs are none."""
        table = self._table(dataset, self._schedule(hp, "statistics"))
        runs = runs_held(table).sum(axis=1)
        return dict(Counter(runs[official_order()[sorted(self.evaluated_indexes)]].tolist()))

    # -- numbers -----------------------------------------------------------------------------

    def query_meta_info_by_index(self, arch_index: int, hp: Hp = UNSET) -> ArchResults:
        """All trainings of an architecture with one schedule."""
        epochs = self._schedule(hp, "query_meta_info_by_index")
        architecture = Architecture.from_official_index(self.query_index_by_arch(arch_index))
        results = ArchResults(architecture, self._tables[epochs], self._rng)
        if not results.dataset_seed:
            raise NotRecorded(f"the tables hold no run of architecture {arch_index} with hp='{epochs}'")
        return results

    def query_by_index(self, arch_index: int, dataname: str | None = None, hp: Hp = UNSET) -> Any:
        """All trainings of an architecture, or those on one data set by seed."""
        results = self.query_meta_info_by_index(arch_index, hp)
        return results if dataname is None else results.query(dataname)

    def get_more_info(
        self,
        index: Any,
        dataset: str,
        iepoch: int | None = None,
        hp: Hp = UNSET,
        is_random: bool | int | Unset = UNSET,
    ) -> Info:
        """Losses, accuracies and seconds on all splits, of one run or as the mean.

        Keys that were not recorded are absent, and say why when they are looked up.
        """
        if isinstance(is_random, Unset):
            if self.strict:
                raise Trap(traps.NO_RUN.format(method="get_more_info"))
            is_random = True
        results = self.query_meta_info_by_index(index, self._schedule(hp, "get_more_info"))
        results.get_dataset_seeds(dataset)
        if is_random is True:
            is_random = results.draw(dataset)
        found, missing = all_splits(results, dataset, iepoch, is_random)
        if dataset in ("cifar10", "cifar10-valid"):
            found["comment"] = f"trained on {dataset}"
        return Info(found, missing)

    def get_cost_info(self, index: Any, dataset: str, hp: Hp = UNSET) -> dict[str, Any]:
        """Multiply-accumulates and parameters (millions), latency and times (seconds)."""
        results = self.query_meta_info_by_index(index, self._schedule(hp, "get_cost_info"))
        return results.get_compute_costs(dataset)

    def get_latency(self, index: Any, dataset: str, hp: Hp = UNSET) -> float | None:
        """Seconds for a batch of 256 images."""
        costs = self.get_cost_info(index, dataset, self._schedule(hp, "get_latency"))
        latency: float | None = costs["latency"]
        return latency

    def simulate_train_eval(
        self, arch: Any, dataset: str, iepoch: int | None = None, hp: Hp = UNSET, account_time: bool = True
    ) -> tuple[float, float | None, float, float]:
        """Train and validate on the simulated clock.

        Returns:
            Validation accuracy (per cent) of a drawn run, latency (None if not recorded), seconds of this
            training and validation, seconds on the clock.

        Raises:
            NotRecorded: If the tables lack the accuracy or the seconds. In strict mode also if they lack
                the seconds of the validation pass alone, which otherwise are not counted.
        """
        epochs = self._schedule(hp, "simulate_train_eval")
        if dataset not in DATASETS:
            raise ValueError(f"dataset must be one of {', '.join(DATASETS)}; got {dataset!r}")
        index = self.query_index_by_arch(arch)
        key = "cifar10-valid" if dataset == "cifar10" else dataset
        info = last = self.get_more_info(index, key, iepoch, epochs, True)
        measured = "valid-accuracy"
        if measured not in info and "valtest-accuracy" in info:
            if self.strict:
                recorded = self._table(key, epochs).recorded_epochs("valid_accuracy")
                raise Trap(traps.VALTEST.format(dataset=dataset, iepoch=iepoch, hp=f"'{epochs}'",
                                                recorded=f"iepoch={recorded[-1] - 1}"))  # fmt: skip
            measured, last = "valtest-accuracy", self.get_more_info(index, key, None, epochs, True)
        accuracy, seconds = info[measured], info["train-all-time"]
        if "valid-per-time" in last:
            seconds += last["valid-per-time"]
        elif self.strict:
            table = self._table(key, epochs)
            raise not_recorded(traps.NO_PASS.format(table=table.name), table.manifest)
        latency = self._latency(index, (dataset, key), epochs)
        if account_time:
            self._used_time += seconds
        return accuracy, latency, seconds, self._used_time

    def _latency(self, index: int, datasets: Iterable[str], epochs: int) -> float | None:
        """The latency on the first of these data sets where it was recorded.

        One network, so one latency, whichever part of CIFAR-10 it was trained on.
        """
        results = self.query_meta_info_by_index(index, epochs)
        held = [name for name in datasets if name in results.get_dataset_names()]
        found = (results.get_compute_costs(name)["latency"] for name in held)
        return next((latency for latency in found if latency is not None), None)

    def find_best(
        self,
        dataset: str,
        metric_on_set: str,
        flop_max: float | None = None,
        param_max: float | None = None,
        hp: Hp = UNSET,
        enforce_all: bool | None = None,
    ) -> tuple[int, float]:
        """The official index with the highest mean accuracy within the limits (millions), and that.

        -1 and NaN if there is none within them.
        """
        if any(limit is not None and limit != limit for limit in (flop_max, param_max)):
            raise ValueError("a limit is a number of millions or None; got nan")
        epochs = self._schedule(hp, "find_best")
        task, split = remap(dataset, metric_on_set)
        table = self._table(task, epochs)
        column = f"{split}_accuracy"
        order = official_order()
        runs = percent(table.values(column, epochs=epochs), table.manifest["columns"][column])[order]
        accuracy = runs if runs.ndim == 1 else mean_of_held(runs)
        for limit, cost_column in ((flop_max, "macs"), (param_max, "params")):
            if limit is not None:
                accuracy = np.where(millions(table, cost_column)[order] > limit, np.nan, accuracy)
        if np.isnan(accuracy).all():
            return -1, float("nan")
        best = int(np.nanargmax(accuracy))
        return best, float(accuracy[best])

    def get_net_config(self, index: Any, dataset: str) -> dict[str, Any]:
        """The configuration from which the official code builds the network."""
        architecture = Architecture.from_official_index(self.query_index_by_arch(index))
        for tables in self._tables.values():
            if dataset in tables:
                return ResultsCount(tables[dataset], architecture, None).get_config(None)
        raise NotRecorded(f"no table of {dataset!r}; there are {', '.join(self._names())}")

    def get_net_param(self, index: Any, dataset: str, seed: int | None, hp: Hp = UNSET) -> Any:
        """Trained weights, which tables do not hold.

        Raises:
            Trap: In strict mode; otherwise the answer is None per run, as from the official
                files without weights.
        """
        if self.strict:
            raise Trap(see_page(traps.NO_WEIGHTS))
        return self.query_meta_info_by_index(index, hp).get_net_param(dataset, seed)

    def query_info_str_by_arch(self, arch: Any, hp: Hp = UNSET) -> str:
        """The numbers of an architecture as a few lines of text."""
        index = self.query_index_by_arch(arch)
        results = self.query_meta_info_by_index(index, self._schedule(hp, "query_info_str_by_arch"))
        return "\n".join(describe(results, f"arch-index={index}", joint=self._joint))

    def query_by_arch(self, arch: Any, hp: Hp = UNSET) -> str:
        """The same, under its oldest name."""
        return self.query_info_str_by_arch(arch, hp)

    def show(self, index: int = -1) -> None:
        """Print the numbers of an architecture, or of all (index -1)."""
        infos = self.arch2infos_dict
        for number in infos if index == -1 else [self.query_index_by_arch(index)]:
            if number not in infos:
                print(f"The tables hold no run of architecture {number}.")
                continue
            print(f"{number:06d} {self.arch(number)}")
            for hp, results in infos[number].items():
                print(f"{int(hp):03d} epochs")
                print("\n".join(describe(results, joint=self._joint)))

    def reset_fast_mode(self, fast_mode: bool) -> None:
        """Nothing to set: tables are always open."""

    def reset_archive_dir(self, archive_dir: str | None) -> None:
        """Nothing to set: the tables are open."""

    def reload(self, archive_root: str | None = None, index: int | None = None) -> None:
        """Nothing to reload: the tables are open, and hold no weights."""

    def clear_params(self, index: int, hp: str | None = None) -> None:
        """Nothing to clear: tables hold no weights."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._names())})"

    # -- inside ------------------------------------------------------------------------------

    def _every(self) -> list[Table]:
        return [table for tables in self._tables.values() for table in tables.values()]

    def _names(self) -> list[str]:
        return [table.name for table in self._every()]

    def _schedule(self, hp: Hp, method: str) -> int:
        if isinstance(hp, Unset):
            if self.strict:
                raise Trap(traps.NO_SCHEDULE.format(method=method))
            hp = "12"
        epochs = SCHEDULES.get(str(hp))
        if epochs in self._tables:
            return epochs
        if epochs is None or self.strict or len(self._tables) > 1:
            lacks = f"no table of hp={hp!r}; there are {', '.join(self._names())}"
            raise NotRecorded(lacks if epochs is None else see_page(lacks))
        (only,) = self._tables
        if not self._warned:
            self._warned = True
            warnings.warn(traps.OTHER_SCHEDULE.format(asked=epochs, only=only), stacklevel=3)
        return only

    def _table(self, task: str, epochs: int) -> Table:
        if task not in self._tables[epochs]:
            lacks = f"no table of {task!r} with hp='{epochs}'; there are {', '.join(self._names())}"
            raise NotRecorded(see_page(lacks))
        return self._tables[epochs][task]
