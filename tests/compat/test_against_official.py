"""The same calls give the same numbers as ``nats_bench`` 1.8, on real files and on made-up ones.

Accuracies agree to 2e-7 per cent (ours are counts of images, theirs carry rounding noise); all
other numbers are equal to the last bit, because the same floats are added in the same order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Table
from nb201env.compat import NASBench201API, NATStopology, create
from nb201env.official import TASKS
from nb201env.sources.importer import import_official
from nb201env.space import SIZE
from tests.conftest import reference
from tests.official_data import INDICES

nats_bench = pytest.importorskip("nats_bench", reason="compares with nats_bench, which is not installed")

CLOSE = 2e-7


class Pair:
    """The official API and ours over the same files."""

    def __init__(
        self, folder: Path, tables: list[Table], indices: tuple[int, ...], close: float, step: int
    ) -> None:
        self.official = nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)
        self.ours = create(tables, strict=False)
        self.indices, self.close, self.step = indices, close, step


@pytest.fixture(scope="module", params=["made up", "real"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    if request.param == "real":
        folder = reference("nats-tss-sample")
        tables = import_official(folder, tmp_path_factory.mktemp("real"), workers=1)
        return Pair(folder, tables, (0, 11, 284), CLOSE, step=1)
    tables = list(request.getfixturevalue("official_tables").values())
    return Pair(request.getfixturevalue("official_folder"), tables, INDICES, 2e-6, step=7)


def same(ours: Any, official: Any, close: float) -> int:
    """Compare numbers in dictionaries, lists and tuples; returns how many there were."""
    if isinstance(official, dict):
        official = {key: value for key, value in official.items() if key != "comment"}
        assert {key for key in ours if key != "comment"} == set(official)
        return sum(same(ours[key], official[key], close if "acc" in str(key) else 0) for key in official)
    if isinstance(official, list | tuple):
        assert len(ours) == len(official)
        return sum(same(a, b, close) for a, b in zip(ours, official, strict=True))
    if isinstance(official, float):
        assert abs(ours - official) <= close, (ours, official)
        return 1
    assert ours == official
    return 1


def settings(pair: Pair) -> Iterator[tuple[int, str, str]]:
    for index in pair.indices:
        for dataset in TASKS:
            for hp in ("12", "200"):
                yield index, dataset, hp


def test_get_more_info_at_every_epoch_for_every_seed_and_the_mean(pair: Pair) -> None:
    compared = 0
    for index, dataset, hp in settings(pair):
        seeds = pair.official.query_by_index(index, hp=hp).get_dataset_seeds(dataset)
        for iepoch in (None, *range(0, int(hp), pair.step)):
            for run in (False, *seeds):
                arguments = (index, dataset, iepoch, hp, run)
                official = pair.official.get_more_info(*arguments)
                compared += same(pair.ours.get_more_info(*arguments), official, pair.close)
    assert compared > (60_000 if pair.step == 1 else 20_000)


def test_a_seed_that_was_not_run_is_refused_by_both(pair: Pair) -> None:
    for api in (pair.official, pair.ours):
        with pytest.raises(ValueError, match="777"):
            api.get_more_info(pair.indices[0], "cifar100", None, "12", 777)


def test_get_cost_info_and_latency(pair: Pair) -> None:
    for index, dataset, hp in settings(pair):
        official = pair.official.get_cost_info(index, dataset, hp)
        assert same(pair.ours.get_cost_info(index, dataset, hp), official, 0) > 5
        assert pair.ours.get_latency(index, dataset, hp) == pair.official.get_latency(index, dataset, hp)


def test_random_draws_and_the_clock(pair: Pair) -> None:
    found = []
    for api in (pair.official, pair.ours):
        random.seed(7)
        api.reset_time()
        calls = [
            api.simulate_train_eval(index, dataset, iepoch, hp, account)
            for index in pair.indices
            for dataset in ("cifar10", "cifar100", "ImageNet16-120")
            for hp in ("12", "200")
            for iepoch in (None, 5)
            for account in (True, False)
        ]
        found.append((calls, api.used_time, api.get_more_info(pair.indices[0], "cifar100", hp="200")))
    assert same(found[1][0], found[0][0], pair.close) > 100
    assert found[1][1] == found[0][1]
    same(found[1][2], found[0][2], pair.close)


def test_runs_one_by_one(pair: Pair) -> None:
    for index, dataset, hp in settings(pair):
        official = pair.official.query_by_index(index, dataset, hp)
        ours = pair.ours.query_by_index(index, dataset, hp)
        assert sorted(ours) == sorted(official)
        for seed, run in official.items():
            mine = ours[seed]
            assert same(mine.get_times(), run.get_times(), 0)
            assert same(mine.get_train(), run.get_train(), pair.close)
            assert sorted(mine.get_eval_set()) == sorted(run.get_eval_set())
            for name in run.get_eval_set():
                assert same(mine.get_eval(name), run.get_eval(name), pair.close)
            assert (mine.params, mine.flop, mine.seed, mine.name) == (
                run.params,
                run.flop,
                run.seed,
                run.name,
            )
            assert mine.get_total_epoch() == run.get_total_epoch() == int(hp)
            assert mine.get_latency() == run.get_latency()
            assert mine.get_net_param() is None


def test_metrics_and_costs_of_an_architecture(pair: Pair) -> None:
    for index, dataset, hp in settings(pair):
        official = pair.official.query_meta_info_by_index(index, hp)
        ours = pair.ours.query_meta_info_by_index(index, hp)
        assert ours.get_dataset_names() == official.get_dataset_names()
        assert ours.get_dataset_seeds(dataset) == official.get_dataset_seeds(dataset)
        assert ours.get_total_epoch() == official.get_total_epoch()
        assert ours.arch_idx_str() == official.arch_idx_str()
        assert ours.get_latency(dataset) == official.get_latency(dataset)
        for run in (False, official.get_dataset_seeds(dataset)[0]):
            arguments = (dataset, "train", 3, run)
            same(ours.get_metrics(*arguments), official.get_metrics(*arguments), pair.close)
        assert ours.get_net_param(dataset) == official.get_net_param(dataset)


@pytest.mark.parametrize("limits", [{}, {"flop_max": 40.0}, {"param_max": 0.3}])
def test_find_best(pair: Pair, limits: dict[str, Any]) -> None:
    for dataset, metric in [("cifar10", "valid"), ("cifar10", "test"), ("cifar10", "train"),
                            ("cifar100", "valid"), ("cifar100", "test"), ("ImageNet16-120", "x-test"),
                            ("cifar10-valid", "x-valid"), ("cifar100", "ori-test")]:  # fmt: skip
        for hp in ("12", "200"):
            for index in pair.indices:
                pair.official._prepare_info(index)
            official = pair.official.find_best(dataset, metric, hp=hp, enforce_all=False, **limits)
            ours = pair.ours.find_best(dataset, metric, hp=hp, **limits)
            if official[0] < 0:
                assert ours[0] == -1
                continue
            assert ours[0] == official[0]
            assert abs(ours[1] - official[1]) < pair.close


def test_architectures(pair: Pair) -> None:
    ours, official = pair.ours, pair.official
    assert len(ours) == len(official) == SIZE
    rng = np.random.default_rng(0)
    for index in rng.integers(SIZE, size=200).tolist():
        text = official.arch(index)
        assert ours.arch(index) == ours[index] == text == official[index]
        assert ours.query_index_by_arch(text) == ours.query_index_by_arch(index) == index
        assert ours.get_unique_str(text) == official.get_unique_str(text)
        assert ours.str2lists(text) == official.str2lists(text)
        assert np.array_equal(ours.str2matrix(text), official.str2matrix(text))
    assert list(ours) == official.meta_archs
    assert ours.query_index_by_arch("|x~0|") == official.query_index_by_arch("|x~0|") == -1
    for api in (ours, official):
        for index in (-1, SIZE):
            with pytest.raises(ValueError, match=str(index)):
                api.query_index_by_arch(index)
            with pytest.raises(ValueError, match=str(index)):
                api.arch(index)


def test_what_there_is(pair: Pair) -> None:
    for index in pair.indices:
        pair.official._prepare_info(index)
    assert pair.ours.evaluated_indexes == pair.official.evaluated_indexes
    assert set(pair.ours.avaliable_hps) == set(pair.official.avaliable_hps)
    for dataset in TASKS:
        for hp in ("12", "200"):
            assert pair.ours.statistics(dataset, hp) == pair.official.statistics(dataset, hp)
    for name in ("full_train_epochs", "search_space_name", "is_size", "is_topology", "full_epochs_in_paper"):
        assert getattr(pair.ours, name) == getattr(pair.official, name)


def test_configurations_and_text(pair: Pair) -> None:
    index = pair.indices[0]
    for hp in ("12", "200"):
        official = pair.official.query_info_str_by_arch(index, hp)
        assert pair.ours.query_info_str_by_arch(index, hp) == official
        assert pair.ours.query_by_arch(pair.ours.arch(index), hp) == official
    config = pair.ours.get_net_config(index, "cifar100")
    official = pair.official.get_net_config(index, "cifar100")
    assert {**config, "num_classes": 0} == {**official, "num_classes": 0}
    assert config["num_classes"] == 100


def test_the_older_apis_argument_names(pair: Pair) -> None:
    api = NASBench201API(
        {t.name: t for held in pair.ours._tables.values() for t in held.values()}, strict=False
    )
    assert isinstance(api, NATStopology)
    found = api.find_best("cifar100", "valid", FLOP_max=1e3, Param_max=1e3, hp="200")
    assert found == pair.ours.find_best("cifar100", "valid", hp="200")
