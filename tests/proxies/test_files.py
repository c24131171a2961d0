"""Files of proxies: what is written is read; what is damaged is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

from nb201env import container
from nb201env.classes import canonical_classes, representatives
from nb201env.container import DamagedTable
from nb201env.proxies import FORMAT, VERSION, read, write

CLASSES = len(representatives())
VALUES = {
    "a": np.random.default_rng(0).integers(0, 900, (3, CLASSES)).astype(float),
    "b": np.random.default_rng(1).normal(size=(3, CLASSES)),
}
SOURCES = {"a": "made up", "b": "made up too"}


def made(path: Path) -> Path:
    """A file of two proxies at three initialisations."""
    write(path, VALUES, SOURCES, {"task": "digits"}, "MIT")
    return path


def test_what_is_written_is_read_as_float32(tmp_path: Path) -> None:
    found = read(made(tmp_path / "p"))
    assert (found.names, found.initialisations) == (("a", "b"), 3)
    assert (found.sources, found.computed, found.licence) == (SOURCES, {"task": "digits"}, "MIT")
    for name in found.names:
        assert np.array_equal(found.values[name], VALUES[name].astype(np.float32))
        assert np.array_equal(found.of_classes(name, initialisation=2), found.values[name][2])
        assert np.array_equal(found.of_classes(name), found.values[name].mean(axis=0))
    assert made(tmp_path / "q").read_bytes() == (tmp_path / "p").read_bytes()


def test_members_of_a_class_have_one_score(tmp_path: Path) -> None:
    found = read(made(tmp_path / "p"))
    assert found.scores("a").shape == (15_625,)
    assert np.array_equal(found.scores("a")[representatives()], found.of_classes("a"))
    assert np.array_equal(found.scores("b", initialisation=1), found.values["b"][1][canonical_classes()])


def test_ranks_are_scipys_between_0_and_1(tmp_path: Path) -> None:
    found = read(made(tmp_path / "p"))
    wanted = [(rankdata(found.of_classes(name)) - 1) / (CLASSES - 1) for name in ("a", "b")]
    assert found.ranks() == pytest.approx(np.stack(wanted))
    assert found.ranks("b") == pytest.approx(np.stack(wanted[1:]))
    assert (found.ranks("b").min(), found.ranks("b").max()) == (0.0, 1.0)


def test_who_gets_scores_cannot_change_them_for_others(tmp_path: Path) -> None:
    found = read(made(tmp_path / "p"))
    found.scores("a")[:] = 0
    found.of_classes("a")[:] = 0
    assert found.scores("a").max() > 0
    for values in (found.of_classes("a", initialisation=0), found.values["a"]):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0
    with pytest.raises(TypeError):
        found.values["a"] = found.values["b"]  # type: ignore[index]


def test_what_is_not_there_is_an_error_that_says_what_is(tmp_path: Path) -> None:
    found = read(made(tmp_path / "p"))
    with pytest.raises(LookupError, match="no proxy 'c'; there are a, b"):
        found.scores("c")
    with pytest.raises(LookupError, match="no proxy 'c'"):
        found.ranks("a", "c")
    for number in (3, -1):
        with pytest.raises(LookupError, match=f"no initialisation {number}; there are 0 to 2"):
            found.scores("a", initialisation=number)


# -- damage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_not_written(bad: float, tmp_path: Path) -> None:
    values = VALUES["a"].copy()
    values[1, 7] = bad
    with pytest.raises(ValueError, match="a: every class needs a finite score at every initialisation"):
        write(tmp_path / "p", VALUES | {"a": values}, SOURCES, {}, "MIT")
    assert not (tmp_path / "p").exists()


def test_scores_without_classes_or_a_source_are_not_written(tmp_path: Path) -> None:
    three = {name: np.zeros((3, 15_625)) for name in SOURCES}
    none = {name: np.zeros((0, CLASSES)) for name in SOURCES}
    fewer, flat = VALUES | {"b": np.zeros((2, CLASSES))}, VALUES | {"a": np.zeros(CLASSES)}
    for values in (three, none, fewer, flat):
        with pytest.raises(ValueError, match="every class needs a finite score at every initialisation"):
            write(tmp_path / "p", values, SOURCES, {}, "MIT")
    for sources in ({}, {"a": "x"}, SOURCES | {"c": "x"}):
        with pytest.raises(ValueError, match="every proxy needs its scores and a source"):
            write(tmp_path / "p", VALUES, sources, {}, "MIT")
    with pytest.raises(ValueError, match="every proxy needs its scores and a source"):
        write(tmp_path / "p", {}, {}, {}, "MIT")


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = made(tmp_path / "p")
    whole = path.read_bytes()
    for place in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedTable):
            read(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedTable):
        read(path)


GOOD: dict[str, Any] = {
    "format": FORMAT, "version": VERSION, "sources": SOURCES, "computed": {}, "licence": "MIT"
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "nb201-device"}, "holds no proxies that this release reads"),
        ({"version": 2}, "holds no proxies that this release reads"),
        ({"version": "1"}, "version"),
        ({"sources": {"a": "x"}}, "every proxy needs its scores and a source"),
        ({"sources": {"a": "x", "b": 7}}, "b: should be a text"),
        ({"sources": []}, "sources: should be an object"),
        ({"computed": 7}, "computed: should be an object"),
        ({"licence": None}, "licence: should be a text"),
    ],
)
def test_a_manifest_that_lies_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    arrays = {name: values.astype(np.float32) for name, values in VALUES.items()}
    container.write(tmp_path / "p", GOOD | change, arrays)
    with pytest.raises(DamagedTable, match=message):
        read(tmp_path / "p")


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((3, 5)), np.full((3, CLASSES), np.nan)], ids=str)
def test_arrays_that_are_no_scores_are_refused(array: Any, tmp_path: Path) -> None:
    container.write(tmp_path / "p", GOOD | {"sources": {"a": "x"}}, {"a": array.astype(np.float32)})
    with pytest.raises(DamagedTable, match="a: every class needs a finite score"):
        read(tmp_path / "p")
