"""Programs written for ``nats_bench`` 1.8 and ``nas_201_api`` 2.1 run: the same methods and arguments."""

from __future__ import annotations

import inspect
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import NotRecorded, Table, compat, open_table
from nb201env.architecture import Architecture
from nb201env.compat import ArchResults, NASBench201API, NATStopology, ResultsCount, Trap, create
from nb201env.space import OPS

# Name to parameters, as `inspect` shows them for the published packages; "=" follows those with a default.
COMMON = {
    "arch": "index",
    "clear_params": "index, hp=",
    "get_cost_info": "index, dataset, hp=",
    "get_latency": "index, dataset, hp=",
    "get_more_info": "index, dataset, iepoch=, hp=, is_random=",
    "get_net_config": "index, dataset",
    "get_net_param": "index, dataset, seed, hp=",
    "query_by_arch": "arch, hp",
    "query_by_index": "arch_index, dataname=, hp=",
    "query_index_by_arch": "arch",
    "query_info_str_by_arch": "arch, hp=",
    "query_meta_info_by_index": "arch_index, hp=",
    "random": "",
    "reload": "archive_root=, index=",
    "reset_time": "",
    "show": "index=",
    "statistics": "dataset, hp",
    "str2lists": "arch_str",
    "str2matrix": "arch_str, search_space=",
}
NATS = COMMON | {
    "__init__": "file_path_or_dict=, fast_mode=, verbose=",
    "find_best": "dataset, metric_on_set, flop_max=, param_max=, hp=, enforce_all=",
    "get_unique_str": "arch",
    "reset_archive_dir": "archive_dir",
    "reset_fast_mode": "fast_mode",
    "simulate_train_eval": "arch, dataset, iepoch=, hp=, account_time=",
}
NAS_201 = COMMON | {
    "__init__": "file_path_or_dict=, verbose=",
    "find_best": "dataset, metric_on_set, FLOP_max=, Param_max=, hp=",
    "simulate_train_eval": "arch, dataset, hp=, account_time=",
}
RESULTS = {
    "arch_idx_str": "",
    "clear_params": "",
    "get_compute_costs": "dataset",
    "get_dataset_names": "",
    "get_dataset_seeds": "dataset",
    "get_latency": "dataset",
    "get_metrics": "dataset, setname, iepoch=, is_random=",
    "get_net_param": "dataset, seed=",
    "get_total_epoch": "dataset=",
    "query": "dataset, seed=",
    "state_dict": "",
}
RUN = {
    "get_config": "str2structure",
    "get_eval": "name, iepoch=",
    "get_eval_set": "",
    "get_latency": "",
    "get_net_param": "clone=",
    "get_times": "",
    "get_total_epoch": "",
    "get_train": "iepoch=",
    "state_dict": "",
}


def parameters(function: Any) -> list[str]:
    """What can be given by position, with "=" where it need not be given."""
    found = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    return [
        p.name if p.default is p.empty else f"{p.name}=" for p in found if p.kind is p.POSITIONAL_OR_KEYWORD
    ]


@pytest.mark.parametrize(
    ("owner", "methods"),
    [
        (NATStopology, NATS),
        (NASBench201API, NAS_201),
        (ArchResults, RESULTS | {"show": "is_print="}),
        (ResultsCount, RUN),
        (compat, {"create": "file_path_or_dict, search_space, fast_mode=, verbose="}),
    ],
    ids=["nats_bench", "nas_201_api", "all runs", "one run", "module"],
)
def test_the_arguments_are_the_official_ones(owner: Any, methods: dict[str, str]) -> None:
    for name, text in methods.items():
        mine, official = parameters(getattr(owner, name)), text.split(", ") if text else []
        assert [p.rstrip("=") for p in mine] == [p.rstrip("=") for p in official], name
        assert {p for p in official if p.endswith("=")} <= set(mine), "what may be left out there may be here"


@pytest.mark.parametrize(
    ("module", "owner", "methods"),
    [("api_topology", "NATStopology", NATS), ("api_utils", "ArchResults", RESULTS),
     ("api_utils", "ResultsCount", RUN)],
)  # fmt: skip
def test_the_published_package_has_them_so(module: str, owner: str, methods: dict[str, str]) -> None:
    """The lists above against the package itself, where it is installed."""
    official = getattr(pytest.importorskip(f"nats_bench.{module}"), owner)
    assert {name: ", ".join(parameters(getattr(official, name))) for name in methods} == methods


# -- by position -----------------------------------------------------------------------------


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NB201_HOME", str(tmp_path / "none"))


def test_the_older_api_takes_its_arguments_by_position(embedded: None) -> None:
    api = NASBench201API(None, False, strict=False, seed=0)
    accuracy, latency, seconds, clock = api.simulate_train_eval(284, "cifar10", "200")
    assert api.simulate_train_eval(284, "cifar10", "200", False)[3] == clock == seconds
    assert latency == api.get_latency(284, "cifar10-valid", "200")
    assert accuracy in {
        run.get_eval("valid")["accuracy"] for run in api.query_by_index(284, "cifar10-valid", "200").values()
    }
    best = api.find_best("cifar10", "valid", None, 0.5, "200")
    assert best == create(None, strict=False).find_best("cifar10", "valid", None, 0.5, "200")
    assert isinstance(api.evaluated_indexes, list)
    assert api.evaluated_indexes == list(range(15_625))


def test_the_older_api_says_it_in_its_own_words(
    official_tables: dict[str, Table], capsys: pytest.CaptureFixture[str]
) -> None:
    api = NASBench201API(official_tables)
    text = api.query_by_arch(11, "200")
    assert text == create(official_tables).query_by_arch(11, "200").replace(" & top1", ", top1")
    lines = api.query_by_index(11, None, "200").show(True)
    assert lines[2:] == text.splitlines()[2:]
    assert capsys.readouterr().out == "\n".join(lines) + "\n"
    with pytest.raises(Trap, match="hp was not given"):
        api.simulate_train_eval(11, "cifar10")


def test_the_dictionary_of_everything(official_tables: dict[str, Table]) -> None:
    api = create(official_tables)
    infos = api.arch2infos_dict
    assert list(infos) == sorted(api.evaluated_indexes)
    assert len(infos) == len(list(infos))
    assert list(infos[11]) == ["12", "200"]
    assert infos[11]["12"].get_metrics("cifar100", "train") == api.query_by_index(11, None, "12").get_metrics(
        "cifar100", "train"
    )
    assert 5 not in infos
    with pytest.raises(KeyError, match="no run of architecture 5"):
        infos[5]
    with pytest.raises(KeyError):
        infos[-1]


# -- what scripts do -------------------------------------------------------------------------


class Cell:
    """An architecture as AutoDL-Projects holds it."""

    def __init__(self, ops: list[str]) -> None:
        self.ops = ops

    def tostr(self) -> str:
        return str(Architecture.from_names(self.ops))


DATASETS = ["cifar10", "cifar100", "ImageNet16-120"]


def random_cell() -> Cell:
    return Cell([random.choice(OPS) for _ in range(6)])


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("hp", ["12", 200])
def test_a_published_search_script_runs_on_the_embedded_tables(embedded: None, dataset: str, hp: Any) -> None:
    """AutoDL-Projects' calls: two of its scripts say hp="12", `regularized_ea.py` also 200."""
    random.seed(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        api = create(None, "tss", fast_mode=True, verbose=False, strict=False)
        assert "cifar100-200" in f"{api}"
        api.reset_time()
        history: list[tuple[float, Cell]] = []
        costs: list[float] = []
        while not costs or costs[-1] < 20_000:
            cell = random_cell()
            accuracy, _, _, total = api.simulate_train_eval(cell, dataset, hp=hp)
            history.append((accuracy, cell))
            costs.append(total)
            assert api.query_index_by_arch(max(history, key=lambda x: x[0])[1]) >= 0
        text = api.query_info_str_by_arch(max(history, key=lambda x: x[0])[1], "200")
    assert costs == sorted(costs)
    assert "train : [not recorded], valid : [loss = None & top1 = " in text
    table = open_table("cifar10-valid-200" if dataset == "cifar10" else f"{dataset}-200")
    runs, spent = table.runs(split="valid", epochs=200), 0.0
    for (accuracy, cell), cost in zip(history, costs, strict=True):
        index = Architecture.from_names(cell.ops).index
        spent += table.seconds(epochs=200, run="mean")[index]
        assert cost == pytest.approx(spent)
        assert np.nanmin(abs(100 * runs[index] - accuracy)) < 1e-9
    messages = [str(warning.message) for warning in caught if "schedule" in str(warning.message)]
    assert len(messages) == (hp == "12"), "said once"


def test_strict_mode_neither_takes_another_schedule_nor_counts_less(embedded: None) -> None:
    api = create(None)
    with pytest.raises(NotRecorded, match="no table of hp='12'; there are cifar10-valid-200"):
        api.simulate_train_eval(284, "cifar10", hp="12")
    with pytest.raises(NotRecorded, match="cifar10-valid-200 does not record the seconds of"):
        api.simulate_train_eval(284, "cifar10", hp="200")
    assert api.used_time == 0
    info = api.get_more_info(284, "cifar10-valid", hp="200", is_random=777)
    assert (
        info["train-all-time"]
        == open_table("cifar10-valid-200").seconds(epochs=200, run=777)[
            Architecture.from_official_index(284).index
        ]
    )
    assert info["train-per-time"] == info["train-all-time"] / 200
    for key in ("valid-per-time", "valid-loss", "train-accuracy", "train-loss"):
        assert key not in info
        with pytest.raises(NotRecorded, match=f"'{key}': cifar10-valid-200 does not record '"):
            info[key]
    assert "valid : [loss = None & top1 = " in api.query_info_str_by_arch(284, hp="200")


def test_another_schedule_is_taken_from_one_only(official_tables: dict[str, Table], embedded: None) -> None:
    lax = create(official_tables, strict=False)
    with pytest.raises(NotRecorded, match="no table of hp='90'"):
        lax.get_cost_info(11, "cifar100", "90")
    with pytest.raises(NotRecorded, match="no table of hp='90'"):
        create(None, strict=False).get_cost_info(11, "cifar100", "90")


def test_an_epoch_of_another_schedule_is_not_made_up(embedded: None) -> None:
    api = create(None, strict=False)
    with pytest.warns(UserWarning, match=r"12-epoch schedule.*of the 200-epoch one"):
        assert api.get_more_info(284, "cifar100", hp="12", is_random=False)["valid-accuracy"] > 0
    with pytest.raises(NotRecorded, match=r"'valid-accuracy': .* at iepoch=11; recorded: 199"):
        api.simulate_train_eval(284, "cifar100", 11, "12")


@pytest.mark.parametrize("strict", [True, False])
def test_what_the_tables_lack_is_no_trap(embedded: None, strict: bool) -> None:
    """Neither CIFAR-10 nor the embedded tables have a set of validation and test images together."""
    api = create(None, strict=strict)
    for dataset in DATASETS:
        with pytest.raises(NotRecorded, match=r"'valid-accuracy': .* at iepoch=50; recorded: 199"):
            api.simulate_train_eval(284, dataset, 50, "200")
