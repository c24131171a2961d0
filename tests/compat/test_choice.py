"""Which tables the official calls are answered from, and what is said of those that cannot."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import NotRecorded, Table, open_table
from nb201env.architecture import Architecture
from nb201env.compat import NASBench201API, NATStopology, Trap, create
from nb201env.official import TASKS, describe
from nb201env.sources.importer import import_official
from nb201env.space import SIZE
from nb201env.table import write_table
from tests.official_data import architecture_results, whole, write_pickle

BEST = 6111
Write = Callable[..., Table]
RUNS = np.full((SIZE, 2, 1), 0.5)
MEANS = np.full(SIZE, 0.25)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NB201_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def write(home: Path) -> Write:
    """Write an own table: columns with a run axis have the seeds 777 and 888, others are means."""

    def own(name: str, task: str, epochs: int = 200, **columns: Any) -> Table:
        seeds = [777, 888] if any(column.ndim > 1 for column in columns.values()) else []
        manifest = describe(task, epochs) | {"seeds": seeds, "provenance": {}, "name": name}
        at = {"epochs": [epochs]}
        manifest["columns"] = {c: at if c.endswith(("_accuracy", "_loss")) else {} for c in columns}
        return write_table(home / f"{name}.safetensors", manifest, columns)

    return own


# -- with None -------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_table_of_means_changes_no_answer_of_the_embedded_tables(
    write: Write, task: str, split: str
) -> None:
    def answers() -> list[Any]:
        api = create(None, "tss", strict=False, seed=0)
        out: list[Any] = []
        for dataset in ("cifar10-valid", "cifar100", "ImageNet16-120"):
            out += [api.get_more_info(BEST, dataset, hp="200", is_random=run) for run in (False, True, 777)]
            out += [api.get_cost_info(BEST, dataset, "200"), api.find_best(dataset, "x-valid", hp="200")]
        out += [api.simulate_train_eval(BEST, name, hp="200") for name in ("cifar10", "cifar100")]
        return [*out, api.statistics("cifar100", "200"), len(api.evaluated_indexes)]

    before = answers()
    write("mine", task, **{f"{split}_accuracy": MEANS})
    assert answers() == before
    assert f"{task} " in create(None).query_info_str_by_arch(BEST, "200") or task == "cifar10-valid"


def test_means_are_answered_where_there_are_no_runs(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    loss, seconds = np.full(SIZE, 1.5), np.full(SIZE, 3_000.0)
    write("mine", "cifar10", test_accuracy=MEANS, test_loss=loss, train_seconds=seconds)
    api = create(None, "tss")
    info = api.get_more_info(BEST, "cifar10", hp="200", is_random=False)
    assert (info["test-accuracy"], info["test-loss"], info["train-all-time"]) == (25, 1.5, 3_000)
    assert api.find_best("cifar10", "test", hp="200")[1] == 25
    costs = api.get_cost_info(BEST, "cifar10", "200")
    assert (costs["T-train@total"], costs["latency"]) == (3_000, None)
    for run in (True, 777):
        with pytest.raises(
            (NotRecorded, ValueError), match=r"only means over runs.*is_random=False|has \[\]"
        ):
            api.get_more_info(BEST, "cifar10", hp="200", is_random=run)
    results = api.query_by_index(BEST, None, "200")
    assert results.get_dataset_seeds("cifar10") == []
    assert results.query("cifar10") == {}
    assert results.get_total_epoch() == 200
    assert api.statistics("cifar10", "200") == {0: SIZE}
    assert api.get_net_config(BEST, "cifar10")["num_classes"] == 10
    api.show(BEST)
    assert "test  : [loss = 1.500 & top1 = 25.00%]" in capsys.readouterr().out


def test_a_mean_is_no_runs_number(write: Write) -> None:
    """A table may hold runs of one split, and of another the mean alone."""
    table = write("mixed", "cifar100", valid_accuracy=RUNS, test_accuracy=MEANS)
    api = create([table])
    assert api.get_more_info(BEST, "cifar100", hp="200", is_random=False)["test-accuracy"] == 25
    one = api.get_more_info(BEST, "cifar100", hp="200", is_random=777)
    assert one["valid-accuracy"] == 50
    with pytest.raises(NotRecorded, match="only the mean over runs of 'test_accuracy'; say is_random=False"):
        one["test-accuracy"]
    assert "test : [loss = None & top1 = 25.00%]" in api.query_info_str_by_arch(BEST, "200")


def test_a_run_counts_whichever_split_it_has(write: Write) -> None:
    train, valid = RUNS.copy(), RUNS.copy()
    train[:, 1] = valid[:, 0] = np.nan
    api = create([write("halves", "cifar100", train_accuracy=train, valid_accuracy=valid)])
    assert api.query_by_index(BEST, None, "200").get_dataset_seeds("cifar100") == [777, 888]
    assert api.statistics("cifar100", "200") == {2: SIZE}
    assert api.get_more_info(BEST, "cifar100", hp="200", is_random=888)["valid-accuracy"] == 50
    lacking = api.get_more_info(BEST, "cifar100", hp="200", is_random=777)
    with pytest.raises(NotRecorded, match="lacks 'valid_accuracy' of .* seed 0777"):
        lacking["valid-accuracy"]


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ({"valid_accuracy": RUNS}, "mine"),
        ({"valid_accuracy": RUNS, "test_accuracy": MEANS}, "mine"),
        ({"valid_accuracy": MEANS}, "cifar100-200"),
        ({"test_accuracy": RUNS}, "cifar100-200"),
        ({"test_accuracy": RUNS, "valid_accuracy": MEANS}, "cifar100-200"),
        ({"train_seconds": MEANS}, "cifar100-200"),
    ],
)
def test_an_own_table_comes_first_if_it_records_as_much(
    write: Write, columns: dict[str, Any], chosen: str
) -> None:
    write("mine", "cifar100", **columns)
    assert repr(create(None)) == f"NATStopology(cifar10-valid-200, {chosen}, ImageNet16-120-200)"


def test_of_own_tables_the_fullest_counts(write: Write) -> None:
    write("a", "cifar10", test_accuracy=MEANS)
    assert "(cifar10-valid-200, a, " in repr(create(None))
    write("b", "cifar10", test_accuracy=MEANS)
    assert "(cifar10-valid-200, cifar100-200, " in repr(create(None)), "means that contradict each other"
    write("c", "cifar10", test_accuracy=RUNS)
    assert "(cifar10-valid-200, c, " in repr(create(None))
    write("d", "cifar10", test_accuracy=RUNS)
    with pytest.raises(ValueError, match=r"two tables of cifar10 .*c\.safetensors and .*d\.safetensors"):
        create(None)


def test_a_table_that_cannot_be_opened_is_named_and_left_out(home: Path) -> None:
    (home / "bad.safetensors").write_bytes(b"nothing")
    with pytest.warns(UserWarning, match=r"left out: .*bad\.safetensors"):
        api = create(None)
    assert api.get_more_info(BEST, "cifar100", hp="200", is_random=False)["valid-accuracy"] == pytest.approx(
        72.75, abs=0.01
    )


def test_the_embedded_tables_want_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    expected = "NATStopology(cifar10-valid-200, cifar100-200, ImageNet16-120-200)"
    monkeypatch.setenv("NB201_HOME", str(tmp_path / "none"))
    assert repr(create(None)) == expected
    for name in ("NB201_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert repr(create(None)) == expected


def test_other_trainings_and_predictions_are_passed_over(write: Write, home: Path) -> None:
    write("short", "cifar100", 12, valid_accuracy=RUNS)
    write("odd", "cifar100", 50, valid_accuracy=RUNS)
    api = create(None)
    assert api.avaliable_hps == ["12", "200"]
    assert repr(api) == "NATStopology(short, cifar10-valid-200, cifar100-200, ImageNet16-120-200)"


def test_an_architecture_may_be_there_in_one_schedule_only(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    some = RUNS.copy()
    some[Architecture.from_official_index(BEST).index] = np.nan
    api = create([write("short", "cifar100", 12, valid_accuracy=some), open_table("cifar100-200")])
    api.show(BEST)
    shown = capsys.readouterr().out
    assert "200 epochs" in shown
    assert "012 epochs" not in shown
    assert list(api.arch2infos_dict[BEST]) == ["200"]


def test_tables_without_an_accuracy_hold_no_architecture(write: Write) -> None:
    api = create([write("times", "cifar100", train_seconds=MEANS)])
    assert api.evaluated_indexes == set()
    assert api.statistics("cifar100", 200) == {}
    with pytest.raises(NotRecorded, match="no run of architecture 6111"):
        api.get_more_info(BEST, "cifar100", hp="200", is_random=False)


# -- with files ------------------------------------------------------------------------------


MAKERS: list[Any] = [create, NASBench201API, NATStopology]


@pytest.mark.parametrize("make", MAKERS)
def test_official_files_are_to_be_imported_first(make: Any, official_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    files = [
        tmp_path / "a file.pth",
        tmp_path / "all.pickle.pbz2",
        tmp_path / "x.tar",
        tmp_path / "old/0.pth",
    ]
    for file in files:
        file.write_bytes(b"")
    for source in (official_folder, *files, tmp_path / "old"):
        with pytest.raises(ValueError, match="these are official files; import them first") as caught:
            make(str(source))
        assert f"'nb201 table import {shlex.quote(str(source))}'" in str(caught.value)
    with pytest.raises(ValueError, match="what an official file holds; import them first"):
        make(whole())
    with pytest.raises(FileNotFoundError, match="no file or folder .*nb201 table import PATH"):
        make("NATS-tss-v1_0-3ffb9-simple")


@pytest.mark.parametrize("make", MAKERS)
def test_tables_are_given_as_they_come(make: Any, write: Write, home: Path) -> None:
    table = write("mine", "cifar100", valid_accuracy=RUNS)
    for source in ([table], {"any": table}, (t for t in [table]), home, str(table.container.path)):
        assert make(source).find_best("cifar100", "valid", hp="200")[1] == 50
    for wrong in (["cifar100-200"], {"a": 5}):
        with pytest.raises(TypeError, match="tables are what nb201env.open_table opens; got"):
            make(wrong)
    with pytest.raises(ValueError, match="two tables of cifar100"):
        make([table, table])


@pytest.mark.parametrize("space", ["sss", "size", "", "TSS", None])
def test_there_is_one_search_space(space: Any) -> None:
    with pytest.raises(ValueError, match="'tss', the topology space") as caught:
        create(None, space)
    assert ("size space" in str(caught.value)) == (space in ("sss", "size"))


# -- numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [-1, SIZE, 10**30, True, False, np.int64(-1), np.int64(SIZE)])
def test_numbers_outside_the_space_are_refused(number: Any, official_tables: dict[str, Table]) -> None:
    api = create(official_tables, strict=False)
    for call in (
        api.arch, api.query_index_by_arch, api.get_unique_str,
        lambda index: api.get_more_info(index, "cifar100", hp="200", is_random=False),
        lambda index: api.get_cost_info(index, "cifar100", "200"),
        lambda index: api.simulate_train_eval(index, "cifar100", hp="200"),
        lambda index: api.query_by_index(index, None, "200"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="an official index is in 0..15624"):
            call(number)
    for wrong in (2.5, "3", None):
        with pytest.raises(Trap, match="is not an official architecture string"):
            create(official_tables).query_index_by_arch(wrong)
        with pytest.raises(ValueError, match="an official index"):
            api.arch(wrong)  # type: ignore[arg-type]


def test_a_limit_that_is_no_number_is_refused(official_tables: dict[str, Table]) -> None:
    nan = float("nan")
    for flops, params in ((nan, None), (None, nan), (40.0, nan)):
        with pytest.raises(ValueError, match="a limit is a number"):
            create(official_tables).find_best("cifar100", "valid", flops, params, "200")


def test_sizes_of_runs_that_disagree(tmp_path: Path) -> None:
    """Seed 888's counts; where there is none, the closed form."""
    (tmp_path / "set").mkdir()
    for index in (0, 11):
        results = architecture_results(index, (200,))
        held = results["200"]["all_results"]
        held["cifar100", 777]["params"] = 0.3
        if index == 11:
            for task in TASKS:
                run = held.pop((task, 888))
                held[task, 999] = run | {"seed": "0999"}
                results["200"]["dataset_seed"][task] = [777, 999]
        write_pickle(tmp_path / "set" / f"{index:06d}.pickle.pbz2", results)
    api = create(import_official(tmp_path / "set", tmp_path / "tables", workers=1))
    closed = create([open_table("cifar100-200")])
    expected = {0: 0.073306, 11: closed.get_cost_info(11, "cifar100", "200")["params"]}
    for index, size in expected.items():
        assert api.get_cost_info(index, "cifar100", "200")["params"] == pytest.approx(size, rel=1e-12)
    assert len(set(expected.values())) == 2
    for limit in (min(expected.values()), max(expected.values())):
        within = {index for index, size in expected.items() if size <= limit}
        best = api.find_best("cifar100", "valid", param_max=limit * (1 + 1e-9), hp="200")[0]
        assert best in within
    assert api.find_best("cifar100", "valid", param_max=min(expected.values()) / 2, hp="200")[0] == -1
