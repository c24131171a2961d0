"""Evaluations of one's own: what is taken, what counts as a run, what is refused, and how good the fit is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import NotRecorded
from nb201env.architecture import Architecture, all_strings
from nb201env.arrays import FloatArray, IntArray
from nb201env.envs.registration import OWN
from nb201env.sources.errors import SourceError
from nb201env.space import SIZE, all_ops, official_index_of
from nb201env.surrogate import NoiseModel, fit_evaluations, fit_surrogate, load, read_evaluations, save
from nb201env.surrogate.evaluations import FEWEST, Evaluations, gather
from nb201env.surrogate.model import Surrogate, fit
from nb201env.surrogate.tables import SurrogateTable
from nb201env.table import Table, write_table
from tests.surrogate.conftest import SMALL

SOME = np.arange(7, SIZE, 521)  # 30 of them
ACCURACY = np.linspace(0.3, 0.9, len(SOME))
STRINGS = [all_strings()[index] for index in SOME]


def csv(folder: Path, lines: list[str], name: str = "mine.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def percents(*more: str) -> list[str]:
    """A heading and 30 rows of accuracies in per cent, and more rows."""
    return ["arch,acc", *(f"{s},{100 * a:.6f}" for s, a in zip(STRINGS, ACCURACY, strict=True)), *more]


def read(source: Path, **changes: Any) -> Evaluations:
    return read_evaluations(source, **{"key": "arch", "values": ["acc"]} | changes)


@pytest.fixture(scope="module")
def mine() -> Surrogate:
    """Fitted on one number for each of 30 architectures."""
    return fit_evaluations(SOME, ACCURACY, name="mine", settings=SMALL, folds=2)


# -- what is taken -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    str, Architecture.from_index, int, lambda i: tuple(all_ops()[i]), lambda i: all_strings()[i],
])  # fmt: skip
def test_architectures_go_by_any_of_their_names(name: Any) -> None:
    wanted = gather(SOME, ACCURACY, name="mine")
    names = [all_strings()[i] if name is str else name(int(i)) for i in SOME]
    assert gather(names, ACCURACY, name="mine").about["table"] == wanted.about["table"]


def test_the_order_of_rows_does_not_matter() -> None:
    orders = np.arange(30), np.arange(30)[::-1], np.random.default_rng(0).permutation(30)
    found = [gather(SOME[order], ACCURACY[order], name="mine").about["table"]["id"] for order in orders]
    assert len(set(found)) == 1


def test_several_rows_and_several_columns_are_runs() -> None:
    """However the runs of an architecture are laid out, they are the same runs."""
    runs = np.stack([ACCURACY, ACCURACY - 0.01, ACCURACY + 0.02], axis=1)
    side_by_side = gather(SOME, runs, name="mine")
    below = gather(np.repeat(SOME, 3), runs.ravel(), name="mine")
    mixed = gather(
        np.tile(SOME, 2),
        np.vstack([runs[:, :2], np.stack([runs[:, 2], np.full(30, np.nan)], axis=1)]),
        name="mine",
    )
    for found in (side_by_side, below, mixed):
        np.testing.assert_array_equal(found.runs[:, :, 0], runs)
        np.testing.assert_allclose(found.means[:, 0], runs.mean(axis=1))
        assert found.several == 30


def test_runs_that_are_missing_are_not_made_up() -> None:
    found = gather([*SOME, int(SOME[3])], [*ACCURACY, 0.5], name="mine")
    assert np.isnan(found.runs[:, 1, 0]).sum() == 29
    assert found.runs[3, :, 0].tolist() == [ACCURACY[3], 0.5]
    assert found.several == 1


def test_copies_of_rows_are_no_runs() -> None:
    """As in the log of a search that asked a table of means twice: or there would be noise of 0."""
    said: list[str] = []
    found = gather(np.tile(SOME, 2), np.tile(ACCURACY, 2), name="mine", note=said.append)
    assert (found.runs.shape, found.several) == ((30, 1, 1), 0)
    assert said[0].startswith("30 rows not counted, equal to another one")
    # Where others differ, two runs may have met by chance.
    assert gather([*SOME, SOME[0], SOME[1]], [*ACCURACY, ACCURACY[0], 0.7], name="mine").several == 2


def test_rows_without_a_number_are_left_out_and_named(tmp_path: Path) -> None:
    said: list[str] = []
    source = csv(tmp_path, percents("official:6111,nan", "official:6112,", "official:6113,null"))
    assert len(read(source, note=said.append).architectures) == 30
    best = Architecture.from_official_index(6111)
    assert said == [f"mine.csv: 3 rows without a number left out (the first is of {best})"]


def test_seconds_are_means_over_rows() -> None:
    seconds = np.arange(1.0, 61.0)
    rows = {"architectures": np.repeat(SOME, 2), "accuracy": np.repeat(ACCURACY, 2) + np.tile([0, 0.01], 30)}
    found = gather(**rows, name="mine", seconds={"train_seconds": seconds})
    np.testing.assert_allclose(found.costs["train_seconds"], seconds.reshape(30, 2).mean(axis=1))
    assert gather(**rows, name="mine", seconds={"valid_seconds": np.full(60, np.nan)}).costs == {}


def test_a_files_evaluations_are_those_of_the_arrays(tmp_path: Path) -> None:
    wanted = gather(SOME, np.round(100 * ACCURACY, 6) / 100, name="mine").about["table"]
    lines = percents()
    variants = {
        "plain": ("\n".join(lines), {}),
        "CRLF and a byte order mark": ("\ufeff" + "\r\n".join(lines), {"unit": "percent"}),
        "numbers": ("\n".join(["arch,acc"] + [f"{official_index_of(i)},{line.split(',')[1]}"
                    for i, line in zip(SOME, lines[1:], strict=True)]), {"index": "official"}),
        "named numbers": ("\n".join(["arch,acc"] + [f"index:{i},{line.split(',')[1]}"
                    for i, line in zip(SOME, lines[1:], strict=True)]), {}),
        "more columns": ("\n".join(f"{line},x,1" for line in ["arch,acc,note,n"][:0] + lines).replace(
                    "arch,acc,x,1", "arch,acc,note,n"), {}),
    }  # fmt: skip
    for what, (text, options) in variants.items():
        (tmp_path / "mine.csv").write_text(text, encoding="utf-8", newline="")
        assert read(tmp_path / "mine.csv", **options).about["table"] == wanted, what


def test_a_parquet_file_is_taken_too(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    content = pyarrow.table({"arch": STRINGS * 3, "acc": np.concatenate([ACCURACY, ACCURACY, 0 * ACCURACY])})
    parquet.write_table(content, tmp_path / "mine.parquet")
    assert read(tmp_path / "mine.parquet").several == 30


def test_the_unit_is_the_only_possible_one(tmp_path: Path) -> None:
    source = csv(tmp_path, percents())
    fractions = csv(
        tmp_path, ["arch,acc", *(f"{s},{a}" for s, a in zip(STRINGS, ACCURACY, strict=True))], "f.csv"
    )
    for path, unit, other in ((source, "percent", "fraction"), (fractions, "fraction", "percent")):
        found = read(path)
        assert found.about["source"]["unit"] == unit
        assert found.about["table"]["id"] == read(path, unit=unit, name=path.stem).about["table"]["id"]
        np.testing.assert_allclose(found.means[:, 0], ACCURACY, atol=1e-8)
        with pytest.raises(SourceError, match=r"are they fractions\?"):
            read(path, unit=other)


def test_more_rows_than_architectures_are_read_to_the_last(tmp_path: Path) -> None:
    """`import-rows` may stop at the first row too many: two are of one architecture. Here they are runs."""
    rows = [f"index:{i % SIZE},{0.2 + (i // SIZE) / 10}" for i in range(2 * SIZE + 9)]
    found = read(csv(tmp_path, ["arch,acc", *rows]))
    assert found.runs.shape == (SIZE, 3, 1)
    assert (~np.isnan(found.runs[:, 2, 0])).sum() == 9


# -- what is refused -------------------------------------------------------------------------------

WRONG_FILES: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "few": (percents()[:20], {}, "mine: 19 distinct architectures with an accuracy; a surrogate needs 20"),
    "few, often": (percents()[:20] * 1 + percents()[1:20], {}, "mine: 19 distinct architectures"),
    "column": (percents(), {"values": ["ac"]}, "mine.csv: ac: is not one of .* did you mean acc?"),
    "seconds column": (percents(), {"seconds": "Acc"}, "Acc: is not one of .* did you mean acc?"),
    "key column": (percents(), {"key": "archs"}, "archs: is not one of .* did you mean arch?"),
    "semicolons": ([line.replace(",", ";") for line in percents()], {}, "semicolons between its cells: save"),
    "tabs": ([line.replace(",", "\t") for line in percents()], {}, "the file has tabs between its cells"),
    "architecture": (percents("|foo~0|+|x,50"), {}, "mine.csv: line 32, arch: "),
    "bare number": (percents("6111,50"), {}, "line 32, arch: '6111': could be two architectures"),
    "infinite": (percents("official:1,inf"), {}, r"line 32, acc \(valid_accuracy\): inf is out of range"),
    "above": (percents("official:1,100.1"), {}, r"line 32, acc \(valid_accuracy\): 100.1 is out of range 0"),
    "below": (percents("official:1,-1"), {}, r"line 32, acc \(valid_accuracy\): -1.0 is out of range"),
    "no number": (percents("official:1,good"), {}, "line 32, acc: 'good' is no number"),
    "unit": (percents(), {"unit": "points"}, "--unit is percent or fraction; got 'points'"),
    "index": (percents(), {"index": "mine"}, "--index is official or lexicographic; got 'mine'"),
    "twice": (percents(), {"values": ["acc", "acc"]}, "column 'acc' is named twice"),
    "seconds twice": (percents(), {"seconds": "acc"}, "column 'acc' is named twice"),
    "key is value": (percents(), {"values": ["arch"]}, "'arch' is the key"),
    "no value": (percents(), {"values": []}, "name the column of accuracies"),
    "two headings": ([percents()[0] + ",acc", *(f"{r},1" for r in percents()[1:])], {}, "heading of 2"),
    "embedded": (percents(), {"name": "cifar10-valid-200"}, "the name of an embedded table"),
    "surrogate's": (percents(), {"name": "../x"}, "a table's name is a file name"),
    "split": (percents(), {"split": "vaild"}, "split is one of train, valid, test; got 'vaild'"),
    "epochs": (percents(), {"epochs": 0}, "epochs are completed ones, from 1"),
    "zero seconds": (["arch,acc,s", *(f"{r},{i}" for i, r in enumerate(percents()[1:]))], {"seconds": "s"},
                     r"line 2, s \(train_seconds\): is 0; seconds are above 0"),
    "negative seconds": (["arch,acc,s", *(f"{r},{1 - i}" for i, r in enumerate(percents()[1:]))],
                         {"valid_seconds": "s"}, r"line 4, s \(valid_seconds\): -1.0 is out of range"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_FILES)
def test_what_a_file_has_wrong_is_said_in_one_sentence(what: str, tmp_path: Path) -> None:
    lines, options, message = WRONG_FILES[what]
    with pytest.raises(ValueError, match=message) as caught:
        read(csv(tmp_path, lines), **options)
    assert "\n" not in str(caught.value)


def test_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("\n".join(percents()), encoding="utf-16")
    with pytest.raises(SourceError, match="not a CSV file in UTF-8"):
        read(tmp_path / "mine.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accuracy": 100 * ACCURACY}, "row 0: accuracies are fractions in 0..1; got 30; per cent?"),
        ({"accuracy": np.where(ACCURACY > 0.8, np.inf, ACCURACY)}, "row 25: accuracies are fractions"),
        ({"accuracy": ACCURACY[:-1]}, r"for 30 rows; got shape \(29, 1\)"),
        ({"accuracy": ACCURACY[:, None, None]}, "got shape"),
        ({"accuracy": np.zeros((30, 0))}, "got shape"),
        ({"accuracy": np.full(30, np.nan)}, "0 distinct architectures"),
        ({"architectures": [*STRINGS[:-1], "nonsense"]}, "three node groups"),
        ({"seconds": {"train_seconds": ACCURACY[:3]}}, r"train_seconds are an array \[rows\] for 30 rows"),
        ({"seconds": {"train_seconds": ACCURACY - 0.3}}, "row 0: train_seconds are finite numbers above 0"),
        ({"seconds": {"seconds": ACCURACY}}, "seconds are train_seconds and valid_seconds; got 'seconds'"),
    ],
)  # fmt: skip
def test_arrays_that_are_none_of_evaluations(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"architectures": SOME, "accuracy": ACCURACY, "name": "mine"}
    with pytest.raises(ValueError, match=message):
        gather(**arguments | changes)


def test_the_runs_of_one_architecture_fill_no_memory() -> None:
    with pytest.raises(ValueError, match="one architecture has 600,001 runs"):
        gather([*SOME.tolist(), *[7] * 600_000], np.random.default_rng(0).random(600_030), name="mine")


# -- what comes of it ------------------------------------------------------------------------------


def test_twenty_architectures_suffice() -> None:
    surrogate = fit_evaluations(SOME[:FEWEST], ACCURACY[:FEWEST], settings=SMALL, folds=2)
    assert surrogate.manifest["cross_validation"]["architectures"] == FEWEST
    with pytest.raises(ValueError, match="folds are two or more, or 0"):
        fit_evaluations(SOME, ACCURACY, folds=1)


def test_single_numbers_teach_no_noise_and_the_table_says_so(mine: Surrogate) -> None:
    """One run of each, the prediction: several would claim that runs do not differ."""
    table = SurrogateTable(mine)
    assert (mine.noise, table.seeds, table.name) == (None, (0,), "mine-surrogate")
    runs = table.runs(split="valid", epochs=1)[:, 0]
    np.testing.assert_allclose(runs, mine.predict(np.arange(SIZE))[0], atol=1e-4)
    assert "no noise was learnt, as 0 architectures were run more than once" in str(
        table.manifest["provenance"]
    )
    assert "noise" not in table.manifest["columns"]["valid_accuracy"]["what"]
    assert table.manifest["provenance"]["cross_validation"] == mine.manifest["cross_validation"]


def test_several_runs_teach_noise() -> None:
    rng = np.random.default_rng(0)
    for several in (NoiseModel.FEWEST - 1, NoiseModel.FEWEST, 30):
        again = slice(0, several)
        rows = [*SOME, *SOME[again]], [*ACCURACY, *(ACCURACY[again] + rng.normal(0, 0.01, several))]
        surrogate = fit_evaluations(*rows, settings=SMALL, folds=0)
        assert (surrogate.noise is not None) == (several >= NoiseModel.FEWEST)
        assert SurrogateTable(surrogate).seeds == ((0, 1, 2) if surrogate.noise else (0,))
        assert surrogate.manifest["run_several_times"] == several


def test_a_surrogate_of_a_file_comes_back_from_its_own(tmp_path: Path) -> None:
    source = csv(tmp_path, percents())
    surrogate = fit(read(source, epochs=12, dataset="toy"), settings=SMALL, folds=2)
    save(surrogate, tmp_path / "model")
    back = load(tmp_path / "model")
    assert back.manifest == surrogate.manifest
    assert (back.epochs, back.split) == ((12,), "valid")
    assert back.manifest["source"]["rows"] == 30
    assert SurrogateTable(back).manifest["provenance"]["training_source"]["file"] == "mine.csv"
    np.testing.assert_array_equal(back.predict(SOME)[0], surrogate.predict(SOME)[0])


def test_an_environment_counts_queries_without_seconds_and_time_with_them(
    mine: Surrogate, tmp_path: Path
) -> None:
    SurrogateTable(mine).save(tmp_path / "x.safetensors")
    env = gym.make(OWN, table=str(tmp_path / "x.safetensors"), budget_queries=1, actions="pick")
    env.reset(seed=0)
    *_, info = env.step(np.full(6, 3))
    assert (info["queries"], info["clock"], info["search_over"]) == (1, 0.0, True)
    with pytest.raises(
        NotRecorded, match="use budget_queries, or fit it again with seconds .*--seconds COLUMN"
    ):
        gym.make(OWN, table=str(tmp_path / "x.safetensors"), budget_seconds=100.0)
    timed = fit_evaluations(SOME, ACCURACY, settings=SMALL, folds=0, seconds={
        "train_seconds": np.full(30, 10.0), "valid_seconds": np.full(30, 2.0)})  # fmt: skip
    SurrogateTable(timed).save(tmp_path / "y.safetensors")
    env = gym.make(OWN, table=str(tmp_path / "y.safetensors"), budget_seconds=100.0, actions="pick")
    env.reset(seed=0)
    assert env.step(np.full(6, 3))[4]["clock"] == pytest.approx(12.0, rel=1e-3)


# -- tables of means, and whole ones ---------------------------------------------------------------


def small_table(folder: Path, accuracy: FloatArray, seeds: list[int], **more: FloatArray) -> Table:
    manifest = {
        "name": "own", "task": {"name": "toy", "dataset": "toy"}, "schedule": {"epochs": 3}, "seeds": seeds,
        "provenance": {}, "licence": "MIT",
        "columns": {"valid_accuracy": {"epochs": [3]}} | {name: {"unit": "s"} for name in more},
    }  # fmt: skip
    return write_table(folder / "own.safetensors", manifest, {"valid_accuracy": accuracy} | more)


def known_at(index: IntArray, values: FloatArray) -> FloatArray:
    whole = np.full(SIZE, np.nan)
    whole[index] = values
    return whole


@pytest.mark.parametrize("seeds", [[], [5]])
def test_means_and_single_runs_of_a_table_are_learnt_to_the_last(seeds: list[int], tmp_path: Path) -> None:
    values = known_at(SOME, ACCURACY)
    table = small_table(tmp_path, values.reshape(SIZE, 1, 1) if seeds else values, seeds)
    surrogate = fit_surrogate(table, SOME, split="valid", epochs=3, settings=SMALL, folds=2)
    assert surrogate.noise is None
    assert surrogate.manifest["held_out_scores"] == {}
    assert surrogate.manifest["cross_validation"]["architectures"] == 30
    again = fit_evaluations(SOME, ACCURACY, settings=SMALL, epochs=3, folds=2)
    np.testing.assert_array_equal(surrogate.predict(SOME)[0], again.predict(SOME)[0])
    assert surrogate.manifest["cross_validation"] == again.manifest["cross_validation"]


def test_a_column_that_nobody_recorded_is_not_learnt(tmp_path: Path) -> None:
    table = small_table(tmp_path, known_at(SOME, ACCURACY), [], train_seconds=np.full(SIZE, np.nan))
    assert fit_surrogate(table, SOME, split="valid", epochs=3, settings=SMALL, folds=0).costs == {}
    for wrong in (0.0, -1.0, np.inf):
        other = small_table(tmp_path, known_at(SOME, ACCURACY), [], train_seconds=np.full(SIZE, wrong))
        with pytest.raises(
            ValueError, match="own records 'train_seconds' that are not above 0 .* of index 7"
        ):
            fit_surrogate(other, SOME, split="valid", epochs=3)


def test_a_hundred_held_out_say_more_than_folds(table: Table, truth: FloatArray) -> None:
    """Fewer say too little: then the training architectures are asked."""
    for held_out in (99, 100):
        own = known_at(np.arange(40 + held_out), truth[: 40 + held_out])
        partial = _Partial(table, own)
        surrogate = fit_surrogate(partial, range(40), split="valid", epochs=200, settings=SMALL)  # type: ignore[arg-type]
        assert bool(surrogate.manifest["held_out_scores"]) == (held_out == 100)
        assert ("cross_validation" in surrogate.manifest) == (held_out == 99)


class _Partial:
    """A table of which some accuracies are known."""

    def __init__(self, table: Table, accuracy: FloatArray) -> None:
        self.table, self._accuracy, self.columns = table, accuracy, ("valid_accuracy",)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def values(self, column: str, *, epochs: int) -> FloatArray:
        return self._accuracy

    def accuracy(self, **_: Any) -> FloatArray:
        return self._accuracy
