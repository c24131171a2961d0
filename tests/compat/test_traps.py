"""Strict mode raises where the official answer is easily mistaken, and says how to ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, NotRecorded, Table, open_table
from nb201env.compat import NATStopology, Trap, create
from nb201env.official import describe
from nb201env.space import SIZE
from nb201env.table import write_table
from tests.official_data import INDICES

BEST = 6111


@pytest.fixture(scope="module")
def api(official_tables: dict[str, Table]) -> NATStopology:
    return create(official_tables, "tss", seed=0)


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.get_more_info(BEST, "cifar100", is_random=False),
        lambda api: api.get_cost_info(BEST, "cifar100"),
        lambda api: api.get_latency(BEST, "cifar100"),
        lambda api: api.simulate_train_eval(BEST, "cifar100"),
        lambda api: api.find_best("cifar100", "valid"),
        lambda api: api.query_by_index(BEST, "cifar100"),
        lambda api: api.query_meta_info_by_index(BEST),
        lambda api: api.query_info_str_by_arch(BEST),
    ],
)
def test_the_schedule_must_be_said(
    api: NATStopology, official_tables: dict[str, Table], call: Callable[[NATStopology], Any]
) -> None:
    with pytest.raises(Trap, match="hp was not given.*12-epoch"):
        call(api)
    assert call(create(official_tables, strict=False)) is not None


def test_the_run_must_be_said(api: NATStopology) -> None:
    with pytest.raises(Trap, match="is_random was not given"):
        api.get_more_info(BEST, "cifar100", hp="200")
    for run in (False, True, 777):
        assert "train-loss" in api.get_more_info(BEST, "cifar100", hp="200", is_random=run)


def test_a_missing_seed_is_named(api: NATStopology) -> None:
    with pytest.raises(ValueError, match=r"999.*\[777, 888\]"):
        api.get_more_info(11, "cifar100", hp="200", is_random=999)
    with pytest.raises(ValueError, match=r"777.*\[111\]"):
        api.get_more_info(11, "cifar100", hp="12", is_random=777)


def test_keys_that_were_not_recorded_explain_themselves(api: NATStopology) -> None:
    info = api.get_more_info(BEST, "cifar100", iepoch=50, hp="200", is_random=False)
    assert "valtest-accuracy" in info
    assert "valid-accuracy" not in info
    assert info.get("test-accuracy") is None
    for key in ("valid-accuracy", "test-loss"):
        with pytest.raises(NotRecorded, match=f"{key}.*iepoch=50; recorded: 199"):
            info[key]
    with pytest.raises(NotRecorded, match="is not evaluated on a split 'valid'"):
        api.get_more_info(BEST, "cifar10", hp="200", is_random=False)["valid-accuracy"]
    with pytest.raises(NotRecorded, match="no 'speed'; there are train-loss"):
        info["speed"]


def test_the_clock_never_reads_the_test_set(api: NATStopology, official_tables: dict[str, Table]) -> None:
    before = api.used_time
    with pytest.raises(Trap, match="leaks the test set"):
        api.simulate_train_eval(BEST, "cifar100", iepoch=50, hp="200")
    assert api.used_time == before
    loose = create(official_tables, strict=False, seed=1)
    accuracy = loose.simulate_train_eval(BEST, "cifar100", iepoch=50, hp="200")[0]
    held = {
        run.get_eval("ori-test", 50)["accuracy"]
        for run in api.query_by_index(BEST, "cifar100", "200").values()
    }
    assert accuracy in held
    with pytest.raises(ValueError, match="dataset must be one of"):
        api.simulate_train_eval(BEST, "cifar10-valid", hp="12")


def test_an_unknown_architecture_is_an_error(api: NATStopology, official_tables: dict[str, Table]) -> None:
    with pytest.raises(Trap, match="answers -1"):
        api.query_index_by_arch("|nor_conv_3x3~0|")
    assert create(official_tables, strict=False).query_index_by_arch("|nor_conv_3x3~0|") == -1

    class Cell:
        def tostr(self) -> str:
            return str(Architecture.from_official_index(BEST))

    assert api.query_index_by_arch(Cell()) == BEST
    assert api.query_index_by_arch(Architecture.from_official_index(BEST)) == BEST


def test_weights_are_not_there(api: NATStopology, official_tables: dict[str, Table]) -> None:
    with pytest.raises(Trap, match="weights are not imported"):
        api.get_net_param(BEST, "cifar10", None, "12")
    assert create(official_tables, strict=False).get_net_param(BEST, "cifar10", None, "12") == {111: None}


def test_what_the_tables_lack_is_said(api: NATStopology) -> None:
    with pytest.raises(NotRecorded, match="no run of architecture 5"):
        api.get_more_info(5, "cifar10", hp="200", is_random=False)
    with pytest.raises(NotRecorded, match="no table of hp='90'"):
        api.get_more_info(BEST, "cifar10", hp="90", is_random=False)
    with pytest.raises(NotRecorded, match="no run of architecture"):
        api.get_more_info(BEST, "mnist", hp="200", is_random=False)
    with pytest.raises(ValueError, match="has the sets"):
        api.find_best("cifar10", "secret", hp="200")
    with pytest.raises(ValueError, match="dataset must be one of"):
        api.find_best("mnist", "valid", hp="200")


def test_own_draws_are_reproducible(official_tables: dict[str, Table]) -> None:
    def draws() -> list[Any]:
        api = create(official_tables, seed=3)
        return [
            api.get_more_info(0, "cifar100", hp="200", is_random=True)["valid-accuracy"] for _ in range(9)
        ] + [api.random()]

    assert draws() == draws()
    assert len(set(draws())) > 2


def test_the_embedded_tables_answer_what_they_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NB201_HOME", str(tmp_path / "none"))
    api = create()
    assert api.avaliable_hps == ["200"]
    assert repr(api) == "NATStopology(cifar10-valid-200, cifar100-200, ImageNet16-120-200)"
    index, accuracy = api.find_best("cifar10", "valid", hp="200")
    assert (index, round(accuracy, 2)) == (BEST, 91.61)
    assert api.find_best("cifar10", "valid", param_max=0.3, hp="200")[1] < accuracy
    info = api.get_more_info(BEST, "cifar100", hp="200", is_random=False)
    assert 70 < info["valid-accuracy"] < 74
    with pytest.raises(NotRecorded, match="does not have|no set 'x-test'"):
        info["test-accuracy"]
    with pytest.raises(NotRecorded, match="no table of 'cifar10' "):
        api.find_best("cifar10", "test", hp="200")
    costs = api.get_cost_info(BEST, "cifar100", hp="200")
    assert round(costs["flops"], 1) == round(153.27930, 1)
    assert costs["T-train@total"] == pytest.approx(
        open_table("cifar100-200").seconds(epochs=200, run=777)[11667]
    )
    with pytest.raises(NotRecorded, match="'valid-loss': cifar100-200 does not record 'valid_loss'"):
        info["valid-loss"]
    with pytest.raises(NotRecorded, match="cifar100-200 does not record"):
        api.simulate_train_eval(BEST, "cifar100", hp="200")


def test_predicted_tables_are_never_taken_for_measured_ones(tmp_path: Path) -> None:
    embedded = open_table("cifar100-200")
    manifest = {key: value for key, value in embedded.manifest.items() if key not in ("arrays", "schema")}
    columns = {name: embedded.container.array(name) for name in embedded.columns}
    predicted = write_table(tmp_path / "p.safetensors", manifest | {"kind": "surrogate"}, columns)
    with pytest.raises(ValueError, match="predicted by a surrogate"):
        create([predicted])
    with pytest.raises(ValueError, match="none of the tables"):
        create(tmp_path)


def test_own_tables_come_before_the_embedded_ones(
    official_tables: dict[str, Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = official_tables["cifar10-12"].container.path.parent
    monkeypatch.setenv("NB201_HOME", str(folder))
    for api in (create(), create(folder)):
        assert api.avaliable_hps == ["12", "200"]
        assert api.evaluated_indexes == set(INDICES)
    monkeypatch.setenv("NB201_HOME", "nowhere")
    assert len(create([open_table("cifar100-200")]).evaluated_indexes) == 15625


def test_wrong_arguments(official_tables: dict[str, Table], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="topology"):
        create(official_tables, "sss")
    with pytest.raises(ValueError, match="none of the tables"):
        create({})
    with pytest.raises(FileNotFoundError, match="import the official files"):
        create(tmp_path / "nowhere")
    table = open_table("cifar100-200")
    with pytest.raises(ValueError, match="two tables of cifar100"):
        create({"a": table, "b": table})


@pytest.fixture
def partial(tmp_path: Path) -> NATStopology:
    """Accuracies of two architectures, no losses, and sizes of which one run's is another's."""
    accuracy = np.full((SIZE, 2, 1), np.nan)
    accuracy[:2] = 0.5
    params = np.full((SIZE, 2), np.nan)
    params[:2] = [[1e6, 1e6], [5e6, 1e6]]
    arrays = {"train_accuracy": accuracy, "valid_accuracy": accuracy, "params": params}
    manifest = describe("cifar10-valid", 200) | {
        "seeds": [777, 888], "provenance": {}, "columns": {column: {"epochs": [200]} for column in arrays},
    }  # fmt: skip
    manifest["columns"]["params"] = {}
    return create([write_table(tmp_path / "partial.safetensors", manifest, arrays)])


def test_the_best_of_few_architectures(partial: NATStopology) -> None:
    best, accuracy = partial.find_best("cifar10", "valid", param_max=3.0, hp="200")
    assert accuracy == 50
    assert Architecture.from_official_index(best).index in (0, 1)


def test_a_loss_that_was_not_recorded_is_printed_so(partial: NATStopology) -> None:
    text = partial.query_info_str_by_arch(str(Architecture.from_index(1)), hp="200")
    assert "valid : [loss = None & top1 = 50.00%]" in text


def test_show_prints_the_numbers(api: NATStopology, capsys: pytest.CaptureFixture[str]) -> None:
    api.show(BEST)
    shown = capsys.readouterr().out
    assert "200 epochs" in shown
    assert "cifar100" in shown
    api.show(5)
    assert "no run of architecture 5" in capsys.readouterr().out
    api.show()
    assert capsys.readouterr().out.count("012 epochs") == len(INDICES)
    api.reload()
    api.clear_params(BEST)
