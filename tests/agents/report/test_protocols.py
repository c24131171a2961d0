"""The papers' protocols: budgets, what is looked up where, and the published numbers themselves."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env import Architecture, open_table
from nb201env.agents import AGENTS
from nb201env.agents.bohb import BOHB, after
from nb201env.agents.papers.protocols import (
    PROTOCOLS,
    Protocol,
    Sources,
    official_sources,
    reference_sources,
    run_protocol,
    searches,
    spread,
)
from nb201env.agents.papers.published import DATASETS, PUBLISHED, SPLITS, published, unlike
from nb201env.trajectory import read
from tests.conftest import reference

GOAL = 0.0015
ALL_SKIP = Architecture((1,) * 6)


@pytest.fixture
def toy(epoch_table: str) -> Sources:
    """A search on made-up curves; accuracies looked up in the embedded tables."""
    return Sources(search={"cifar10": epoch_table}, valid=embedded())


def embedded() -> dict[str, str]:
    return {
        "cifar10": "cifar10-valid-200",
        "cifar100": "cifar100-200",
        "ImageNet16-120": "ImageNet16-120-200",
    }


# -- the published numbers -------------------------------------------------------------------


def test_every_row_is_whole() -> None:
    assert set(PUBLISHED) == set(PROTOCOLS)
    for rows in PUBLISHED.values():
        assert len(rows) == 10
        for row in rows.values():
            assert set(row.cells) == {(dataset, split) for dataset in DATASETS for split in SPLITS}
            assert all(0.1 < cell.mean < 0.95 and 0 <= cell.deviation < 0.15 for cell in row.cells.values())
            assert row.mark in ("V", "S", "M")


def test_no_published_mean_beats_the_optimum() -> None:
    """Of the mean over seeds, which the papers report."""
    for dataset, name in embedded().items():
        optimum = open_table(name).optimum(split="valid", epochs=200)[1]
        for rows in PUBLISHED.values():
            assert all(row.cells[dataset, "valid"].mean < optimum for row in rows.values())


def test_the_papers_darts_is_the_all_skip_cell() -> None:
    """A mark V that can be recomputed here: its validation accuracies."""
    row = PUBLISHED["nb201"]["darts_v1"]
    for dataset, name in embedded().items():
        accuracy = open_table(name).query(ALL_SKIP, split="valid", epochs=200, run="mean").accuracy
        assert accuracy == pytest.approx(row.cells[dataset, "valid"].mean, abs=5.1e-5)


def test_bohb_of_whole_trainings_is_not_the_papers() -> None:
    """What the reason says of Hyperband's rounds is what the agent does."""
    curves = tuple(range(1, 13))
    for protocol in PROTOCOLS:
        for agent in PUBLISHED[protocol]:
            assert bool(unlike(protocol, agent, [12])) == ((protocol, agent) == ("nats", "bohb"))
            assert unlike(protocol, agent, curves) == ""
    brackets = [*islice(BOHB().brackets(), 3)]
    rungs = [rung for bracket in brackets for rung in bracket]
    here, there = (sum(size * after(share, known) for size, share in rungs) for known in ((12,), curves))
    met = sum(bracket[0][0] for bracket in brackets)
    text = unlike("nats", "bohb", [12])
    assert f"brackets, {met} architectures, costs {here} epochs here and {there} there" in text
    assert f"{here / there:.1f} times as many" in text
    assert {after(share, curves) for _, share in rungs} == {1, 4, 12}


def test_lookup() -> None:
    row = published("nats", "random_search")
    assert row is not None
    assert str(row.cells["cifar10", "test"]) == "93.86 ± 0.23"
    assert published("nats", "ppo") is None
    with pytest.raises(ValueError, match="unknown protocol 'nas'; the protocols are nb201, nats"):
        published("nas", "random_search")


# -- the protocols ---------------------------------------------------------------------------


def test_the_presets() -> None:
    nb201, nats = PROTOCOLS["nb201"], PROTOCOLS["nats"]
    assert (dict(nb201.seconds), nb201.overshoot) == ({"cifar10": 12_000.0}, "drop")
    assert dict(nats.seconds) == {"cifar10": 20_000.0, "cifar100": 40_000.0, "ImageNet16-120": 120_000.0}
    assert nats.overshoot == "allow"
    assert nb201.looked_up("cifar10") == DATASETS
    assert nats.looked_up("cifar100") == ("cifar100",)


@pytest.mark.parametrize("overshoot", ["allow", "drop"])
def test_searches_obey_the_protocol(overshoot: str, toy: Sources, tmp_path: Path) -> None:
    rules = Protocol("mine", "", {"cifar10": 1000.0}, overshoot, transfers=True)
    found = run_protocol(rules, "random_search", range(5), toy, folder=tmp_path)
    table = open_table(toy.search["cifar10"])
    for one in found:
        trajectory = read(tmp_path / f"random_search-{one.seed}.jsonl")
        assert len(trajectory.queries) == one.queries
        assert one.clock.tolist() == trajectory.clock.tolist()
        assert (one.clock[-1] >= 1000) == (overshoot == "allow")
        assert trajectory.clock[-2] < 1000
        best = max(trajectory.queries, key=lambda q: q["accuracy"])
        assert one.architecture == Architecture.parse(best["architecture"])
        assert best["run"] in {str(seed) for seed in table.seeds}, "one of the runs answers, as officially"
    assert len({one.architecture for one in found}) > 1


def test_processes_and_folders_do_not_matter(toy: Sources, tmp_path: Path) -> None:
    rules = replace(PROTOCOLS["nb201"], seconds={"cifar10": 700.0})
    here = run_protocol(rules, "reinforce", range(4), toy, folder=tmp_path)
    there = run_protocol(rules, "reinforce", range(4), toy, jobs=2)
    for one, other in zip(here, there, strict=True):
        assert one.seed == other.seed
        for asked in ("index", "clock", "incumbents"):
            assert getattr(one, asked).tolist() == getattr(other, asked).tolist()


def test_hyperparameters_reach_the_agent(toy: Sources, tmp_path: Path) -> None:
    plan = searches("nb201", "reinforce", [3], toy, tmp_path, agent_kwargs={"learning_rate": 0.5})
    assert plan[0].agent_kwargs == {"learning_rate": 0.5}
    assert plan[0].budget == {"budget_seconds": 12_000.0}
    assert plan[0].env_kwargs["overshoot"] == "drop"


def test_a_protocol_has_hyperparameters(toy: Sources, tmp_path: Path) -> None:
    """Beside those that are given, which count more."""
    for protocol, given, expected in (
        ("nb201", {}, {"learning_rate": 0.03}),
        ("nb201", {"momentum": 0.5}, {"learning_rate": 0.03, "momentum": 0.5}),
        ("nats", {}, {}),
    ):
        plan = searches(protocol, "reinforce", [3], toy, tmp_path, agent_kwargs=given)
        assert plan[0].agent_kwargs == expected
    assert searches("nb201", "random_search", [3], toy, tmp_path)[0].agent_kwargs == {}


def test_spread(toy: Sources) -> None:
    found = run_protocol("nb201", "random_search", range(3), toy)
    chosen = [one.chosen for one in found]
    for dataset, name in embedded().items():
        values = open_table(name).accuracy(split="valid", epochs=200, run="mean")[chosen]
        assert spread(found, dataset, "valid", toy) == (values.mean(), values.std())
        assert spread(found, dataset, "test", toy) is None, "what no table holds is not invented"


def test_the_official_tables_names() -> None:
    sources = official_sources()
    assert sources.search["cifar10"] == "official-cifar10-valid-12"
    assert sources.valid["cifar10"] == "official-cifar10-valid-200"
    assert sources.test == {d: f"official-{d}-200" for d in DATASETS}
    assert sources.search["cifar100"] == "official-cifar100-12"


def test_mistakes(toy: Sources, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown protocol 'nas'; the protocols are nb201, nats"):
        searches("nas", "random_search", [0], toy, tmp_path)
    with pytest.raises(ValueError, match="nb201 searches on cifar10, not on 'cifar100'"):
        searches("nb201", "random_search", [0], toy, tmp_path, dataset="cifar100")
    with pytest.raises(ValueError, match="no table of 12-epoch trainings on cifar100; there is one of c"):
        searches("nats", "random_search", [0], toy, tmp_path, dataset="cifar100")


# -- reproduction ----------------------------------------------------------------------------


@pytest.fixture
def official(tmp_path: Path) -> Sources:
    return reference_sources(reference("nb201_cifar10.csv"), tmp_path)


def test_the_reference_becomes_tables(official: Sources) -> None:
    rows = np.genfromtxt(reference("nb201_cifar10.csv"), delimiter=",", skip_header=1)
    best = Architecture.from_official_index(6111)
    test, signal = official.accuracy("cifar10", "test"), open_table(official.search["cifar10"])
    assert test is not None
    assert test[best.index] == pytest.approx(rows[6111, 2] / 100)
    answer = signal.query(best, split="valid", epochs=12, run="mean")
    assert answer == pytest.approx((rows[6111, 3] / 100, rows[6111, 5]))
    assert official.accuracy("cifar100", "test") is None


def assert_reproduced(protocol: str, agent: str, count: int, sources: Sources, jobs: int = 1) -> None:
    """Within the goal of the published mean, give or take what chance does to so few searches."""
    ours = spread(run_protocol(protocol, agent, range(count), sources, jobs=jobs), "cifar10", "test", sources)
    row = published(protocol, agent)
    assert ours is not None
    assert row is not None
    theirs = row.cells["cifar10", "test"]
    chance = 0.0 if count >= 500 else 3 * ours.deviation / np.sqrt(count)
    assert abs(ours.mean - theirs.mean) <= GOAL + chance, f"{protocol} {agent}: {ours}, published {theirs}"


CHECKED = ("random_search", "regularized_evolution", "reinforce")


@pytest.mark.parametrize("agent", CHECKED)
@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_a_few_searches_agree_with_the_paper(protocol: str, agent: str, official: Sources) -> None:
    assert agent in AGENTS
    assert_reproduced(protocol, agent, 50, official)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_500_searches_agree_with_the_paper(protocol: str, official: Sources) -> None:
    for agent in CHECKED:
        assert_reproduced(protocol, agent, 500, official, jobs=2)


def test_the_committed_results_hold_the_goal() -> None:
    import json

    from tests.conftest import ROOT

    results: Any = json.loads((ROOT / "docs" / "data" / "published.json").read_text(encoding="utf-8"))
    assert results["seeds"] == "0-499"
    for protocol, rows in results["protocols"].items():
        for agent in CHECKED:
            cell = rows[agent]["cells"]["cifar10 test"]
            row = published(protocol, agent)
            assert row is not None
            assert cell["published"] == list(row.cells["cifar10", "test"])
            assert abs(cell["ours"][0] - cell["published"][0]) <= GOAL
