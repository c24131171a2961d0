"""Whatever axes, epochs and gaps a table's columns have: a call answers, or says in a sentence why not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, NotRecorded, Table
from nb201env.arrays import FloatArray
from nb201env.compat import NATStopology, create
from nb201env.official import TASKS, describe
from nb201env.sources.export import to_csv, to_nats
from nb201env.space import SIZE
from nb201env.table import write_table

SPLITS = ("train", "valid", "test", "valtest")
COSTS = ("params", "macs", "latency_seconds", "energy")
PLACES = [Architecture.from_index(index).official_index for index in range(4)]


def made_up(rng: random.Random, path: Path, *, tidy: bool) -> Table:
    """A table of three architectures; every other one is missing.

    Args:
        rng: Draws it.
        path: Its file.
        tidy: Accuracies and losses are of every run, and nothing else than the official columns.
    """
    task, last = rng.choice(list(TASKS)), rng.choice([12, 200])
    seeds = rng.choice([[777], [777, 888], [777, 888, 999]] if tidy else [[], [5], [777, 888, 999]])
    splits = ["train", *TASKS[task].sets.values()] if tidy else list(SPLITS)
    always = [f"{split}_{metric}" for split in splits for metric in ("accuracy", "loss")]
    often = [f"{split}_seconds" for split in splits] + list(COSTS[:3] if tidy else COSTS)
    names = [n for n in always if tidy or rng.random() < 0.8] + [n for n in often if rng.random() < 0.7]
    columns: dict[str, FloatArray] = {}
    specs: dict[str, Any] = {}
    for name in names:
        by_epoch = name.endswith(("_accuracy", "_loss"))
        at = (
            []
            if name in COSTS
            else rng.choice([[last], list(range(1, last + 1)), *([] if by_epoch else [[]])])
        )
        axes = 3 if tidy and by_epoch else rng.choice([1, 2, 3] if at and seeds else [1, 2] if seeds else [1])
        at = at[-1:] if axes < 3 and by_epoch else at
        numbers = np.random.default_rng(rng.randrange(2**32)).random((4, len(seeds), len(at))[:axes])
        specs[name] = {"epochs": at} if at else {}
        specs[name] |= {"unit": "s"} if name.endswith("_seconds") else {}
        if name == "train_seconds" and at and rng.random() < 0.5:
            specs[name] |= {"accumulates": True}
        elif name == "train_seconds" and axes == 3:
            numbers = numbers.cumsum(axis=2)
        if not tidy or "loss" in name:
            numbers[np.random.default_rng(0).random(numbers.shape) < rng.choice([0.0, 0.3])] = np.nan
        numbers[0] = np.nan
        columns[name] = numbers
    rows = np.zeros(SIZE, dtype=np.int64)
    rows[:3] = 1, 2, 3
    manifest = describe(task, last) | {"seeds": seeds, "provenance": {}, "columns": specs}
    return write_table(path, manifest, columns, rows)


def calls(api: NATStopology, index: int, epochs: int) -> Iterator[Callable[[], Any]]:
    hp = str(epochs)
    for dataset in TASKS:
        for iepoch in (None, 0, epochs - 1, epochs):
            for run in (False, True, 777):
                yield partial(api.get_more_info, index, dataset, iepoch, hp, run)
            yield partial(api.simulate_train_eval, index, dataset, iepoch, hp)
        yield partial(api.get_cost_info, index, dataset, hp)
        yield partial(all_of_each_run, api, index, dataset, hp)
        yield partial(api.get_net_config, index, dataset)
        yield partial(api.statistics, dataset, hp)
        for split in ("train", "valid", "test", "x-valid", "ori-test"):
            yield partial(api.find_best, dataset, split, None, 0.5, hp)
    yield partial(api.query_info_str_by_arch, index, hp)
    yield partial(api.show, index)


def all_of_each_run(api: NATStopology, index: int, dataset: str, hp: str) -> None:
    for run in api.query_by_index(index, dataset, hp).values():
        run.get_times()
        run.state_dict()
        repr(run)
        run.get_train()


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_every_call_answers_or_says_why_not(seed: int, strict: bool, tmp_path: Path) -> None:
    table = made_up(random.Random(seed), tmp_path / "t.safetensors", tidy=False)
    api, answered = create([table], strict=strict), 0
    for index in PLACES:
        for call in calls(api, index, table.epochs):
            try:
                found = call()
            except (NotRecorded, ValueError) as error:
                assert str(error)
                assert "\n" not in str(error)
                continue
            answered += 1
            if isinstance(found, dict):
                assert all(value is None or value == value for value in found.values())
    assert answered
    to_csv(table, tmp_path / "t.csv")


@pytest.mark.parametrize("seed", range(12))
def test_what_is_exported_is_answered_alike(seed: int, tmp_path: Path) -> None:
    nats_bench = pytest.importorskip("nats_bench")
    table = made_up(random.Random(seed), tmp_path / "t.safetensors", tidy=True)
    task, hp = table.manifest["task"]["name"], str(table.epochs)
    try:
        to_nats([table], tmp_path / "out", indices=PLACES, workers=1)
    except NotRecorded as error:
        assert "NATS layout needs" in str(error)
        return
    ours = create([table], strict=False)
    theirs = nats_bench.create(str(tmp_path / "out"), "tss", fast_mode=True, verbose=False)
    for index in PLACES[:3]:
        for run in table.seeds:
            mine = ours.get_more_info(index, task, None, hp, run)
            found = theirs.get_more_info(index, task, None, hp, run)
            for key in mine.keys() - {"comment"}:
                assert found[key] == pytest.approx(mine[key], rel=1e-9), key
        assert theirs.get_cost_info(index, task, hp)["params"] == pytest.approx(
            ours.get_cost_info(index, task, hp)["params"]
        )
