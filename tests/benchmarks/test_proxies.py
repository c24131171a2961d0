"""The study of scores of untrained networks: what it computes, and what it puts side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.studies import __main__ as studies
from benchmarks.studies import proxies as study
from benchmarks.studies.pages import read_data
from nb201env import open_table
from nb201env.classes import representatives
from nb201env.comparison import costs, kendall
from nb201env.proxies import Proxies
from nb201env.training.images.tasks import load_task
from nb201env.training.proxies.compute import batch_of, order
from nb201env.training.proxies.measure import SOURCES

CLASSES = len(representatives())
PUBLISHED = read_data(study.PUBLISHED)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Proxies]:
    """Scores and data in place of those that are embedded."""
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(2, CLASSES)) for name in sorted(SOURCES)}
    accuracy = open_table(study.TABLES[0]).accuracy(split="valid", epochs=200, run="mean")
    values["nwot"] = np.stack([accuracy[representatives()] + rng.normal(0, 0.02, CLASSES) for _ in range(2)])
    computed = {"batch": 20, "task": "cifar10", "software": "PyTorch", "date": "2026-11-29"}
    found = Proxies(MappingProxyType(values), SOURCES, computed, "MIT")
    members = [cls for _, cls in order(1)[:30]]
    scores = {str(cls): {"nwot": float(values["nwot"][0, cls]), "plain": float(cls)} for cls in members}
    file = tmp_path / "proxies.json"
    kept = {"images": 64, "machine": "a made-up machine", "seconds": {"a": 0.25, "b": 0.5}, "scores": scores}
    file.write_text(json.dumps(kept))
    monkeypatch.setattr(study, "FILE", file)
    monkeypatch.setattr(study, "open_proxies", lambda: found)
    for cached in (study.found, study.kept):
        cached.cache_clear()
    yield found
    for cached in (study.found, study.kept):
        cached.cache_clear()


# -- what others print -----------------------------------------------------------------------


def test_every_published_figure_has_a_source_a_mark_and_a_score_of_ours() -> None:
    sources = {one["key"]: one for one in PUBLISHED["sources"]}
    assert {*PUBLISHED["rows"]} == {*sources}
    assert all(one["mark"] in ("V", "S", "M") and one["where"] and one["how"] for one in sources.values())
    assert PUBLISHED["datasets"] == [*study.DATASETS.values()]
    for tables in PUBLISHED["rows"].values():
        assert {*tables} <= {"kendall", "spearman"}
        for rows in tables.values():
            assert {*rows} <= {*SOURCES, "params", "macs", "az_nas"}
            for numbers in rows.values():
                assert len(numbers) == 3
                assert all(number is None or -1 < number < 1 for number in numbers)


def test_ours_and_theirs_stand_in_one_row(made_up: Proxies) -> None:
    text = next(iter(study.page().values()))
    table = text.partition("### cifar100\n")[2].partition("###")[0]
    cells = next(line for line in table.splitlines() if line.startswith("| `synflow`")).split("|")[2:-1]
    heads = next(line for line in table.splitlines() if line.startswith("| score")).split("|")[2:-1]
    row = dict(zip(map(str.strip, heads), map(str.strip, cells), strict=True))
    assert (row["tau, T"], row["rho, A"], row["rho, S"]) == ("0.553", "0.763", "0.762")
    ours, _ = study.found("cifar100-200")["synflow"].typical("kendall")
    assert float(row["tau, ours"]) == pytest.approx(ours, abs=5e-4)
    assert "tau, A" not in row


# -- the page --------------------------------------------------------------------------------


def test_the_page_prints_what_the_scores_say(made_up: Proxies) -> None:
    text = next(iter(study.page().values()))
    table = open_table("cifar10-valid-200")
    accuracy = table.accuracy(split="valid", epochs=200, run="mean")
    taus = [kendall(made_up.scores("nwot", initialisation=one), accuracy) for one in (0, 1)]
    assert f"| `nwot` | {np.mean(taus):.3f} ± {abs(taus[1] - taus[0]) / 2:.3f} |" in text
    assert f"| `macs` | {kendall(costs(table, 'macs'), accuracy):.3f} |" in text
    assert "| all | 0.75 |" in text
    assert f"{0.75 * CLASSES / 3600:.1f} core-hours" in text
    assert all(f"| `{name}` | {SOURCES[name]} |" in text for name in SOURCES)


def test_larger_batches_are_judged_by_the_same_classes(made_up: Proxies) -> None:
    found = study.taus_by_batch()
    small, large = found["nwot"]
    assert small == large
    members = [cls for _, cls in order(1)[:30]]
    accuracy = open_table(study.TABLES[0]).accuracy(split="valid", epochs=200, run="mean")
    right = accuracy[representatives()[members]]
    assert found["plain"][1][0] == pytest.approx(kendall(np.array(members, float), right))


def test_the_figure_is_drawn(made_up: Proxies, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    study.figures(tmp_path)
    assert (tmp_path / "proxies.png").read_bytes().startswith(b"\x89PNG")
    names, together = study.cross()
    assert names[0] == "nwot"
    assert np.allclose(together, together.T)
    assert np.allclose(np.diag(together), 1)


# -- run -------------------------------------------------------------------------------------


def test_a_run_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []

    def scored(network: Any, batch: Any) -> dict[str, float]:
        if len(asked) == 7:
            asked.append(None)
            raise KeyboardInterrupt
        asked.append(network)
        return {"nwot": 1.0}

    monkeypatch.setattr(study, "CLASSES", 12)
    monkeypatch.setattr(study, "_network", lambda cls: cls)
    monkeypatch.setattr(study, "seconds", lambda batch: {"all": float(len(batch.labels))})
    monkeypatch.setattr(study, "load_task", lambda task, source: load_task("digits"))
    monkeypatch.setattr(study, "scored", scored)
    out = tmp_path / "p.json"
    words = ["proxies", "run", "--data", str(tmp_path), "--out", str(out)]
    with pytest.raises(KeyboardInterrupt):
        studies.main(words)
    assert len(json.loads(out.read_text())["scores"]) == 7
    studies.main(words)
    assert [one for one in asked if one is not None] == [cls for _, cls in order(1)[:12]]
    assert json.loads(out.read_text())["seconds"] == {"all": 20.0}


def test_the_parts_are_all_formulas_each_once() -> None:
    """Of which the page prints the seconds."""
    batch = batch_of(load_task("digits"))
    parts = study._parts(0, batch)
    words = re.findall(r"[a-z]+[0-9]?_?[a-z]*", " ".join(parts).replace("beside these", ""))
    assert sorted(words) == sorted(SOURCES)
