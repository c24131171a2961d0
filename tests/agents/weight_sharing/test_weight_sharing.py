"""The weight-sharing agents: determinism, the contract, the batch norms' choice, what is drawn."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from torch import Tensor  # noqa: E402

from nb201env.agents import check_agent, make_agent  # noqa: E402
from nb201env.agents.searches.recorder import record, replay  # noqa: E402
from nb201env.agents.weight_sharing.gradient import strongest  # noqa: E402
from nb201env.agents.weight_sharing.rsps import connected  # noqa: E402
from nb201env.agents.weight_sharing.search import Lab, WeightSharing, halves, rate  # noqa: E402
from nb201env.agents.weight_sharing.setn import most_probable  # noqa: E402
from nb201env.architecture import Architecture  # noqa: E402
from nb201env.space import EDGES, NONE  # noqa: E402
from nb201env.training.images.tasks import load_task  # noqa: E402
from nb201env.training.threads import one_thread  # noqa: E402
from nb201env.trajectory import read  # noqa: E402
from nb201env.trajectory_cost import read_cost  # noqa: E402

torch.set_num_threads(1)
NAMES = ("rsps", "darts_v1", "darts_v2", "gdas", "setn", "enas")
TINY: dict[str, Any] = {"task": "digits", "width": 2, "cells": 1, "epochs": 2, "batch": 400}
LITTLE: dict[str, dict[str, Any]] = {
    "rsps": {"candidates": 5},
    "setn": {"candidates": 5},
    "enas": {"candidates": 5, "controller_steps": 1, "aggregate": 3},
}


def tiny(name: str, **kwargs: Any) -> Any:
    return make_agent(name, preset="digits", **TINY | LITTLE.get(name, {}) | kwargs)


def recorded(agent: Any, path: Path, seed: int = 0, **kwargs: Any) -> Path:
    env = gym.make("NB201-cifar10-v0", **{"budget_queries": 2} | kwargs)
    record(agent, env, seed, path)
    return path


def architectures(path: Path) -> list[str]:
    return [query["architecture"] for query in read(path).queries]


# -- the contract ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_file_whoever_else_draws(name: str, tmp_path: Path) -> None:
    first = recorded(tiny(name), tmp_path / "first")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    second = recorded(tiny(name), tmp_path / "second")
    assert first.read_bytes() == second.read_bytes()
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert architectures(recorded(tiny(name), tmp_path / "other", seed=1)) != architectures(first)
    assert replay(read(first)) == []
    assert len(read(first).queries) == 2


@pytest.mark.parametrize("name", NAMES)
def test_the_last_architecture_does_not_depend_on_the_budget_or_the_way_to_act(
    name: str, tmp_path: Path
) -> None:
    ways: list[dict[str, Any]] = [
        {"budget_queries": 1},
        {"budget_queries": 2, "actions": "pick"},
        {"budget_queries": 5, "repeats": "free"},
        {"budget_queries": None, "budget_seconds": 7000.0},
    ]
    found = [
        architectures(recorded(tiny(name), tmp_path / str(i), **kwargs)) for i, kwargs in enumerate(ways)
    ]
    assert [len(one) for one in found[:3]] == [1, 2, 5]
    assert len(found[3]) > 1
    assert len(set(found[3])) == 1
    assert len({one[-1] for one in found}) == 1
    assert found[2] == [found[1][0]] * 2 + [found[1][1]] * 3


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_is_kept(name: str) -> None:
    check_agent(tiny(name, epochs=1), actions=("pick",))


def test_answers_teach_nothing(tmp_path: Path) -> None:
    """Another table answers otherwise; the queries are the same."""
    env = gym.make("NB201-cifar100-v0", budget_queries=2)
    record(tiny("setn"), env, 0, tmp_path / "other")
    other = read(tmp_path / "other")
    here = read(recorded(tiny("setn"), tmp_path / "here"))
    assert [q["architecture"] for q in other.queries] == [q["architecture"] for q in here.queries]
    assert other.accuracy.tolist() != here.accuracy.tolist()


def test_the_cost_stands_beside_the_trajectory(tmp_path: Path) -> None:
    path = recorded(tiny("gdas"), tmp_path / "x.jsonl")
    cost = read_cost(path)
    assert cost.cpu_seconds > 0
    assert cost.wall_seconds > 0
    assert "seconds" not in json.loads(path.read_text().splitlines()[0])
    with pytest.raises(FileNotFoundError):
        read_cost(tmp_path / "y.jsonl")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": ""}, "of task cifar10-valid: give it data=FOLDER"),
        ({"task": "cifar100"}, "of task cifar100: give it data=FOLDER"),
        ({"task": "didgits"}, "unknown task 'didgits'; the tasks are digits"),
        ({"batch_statistics": "some"}, "batch_statistics is one of none, cells, all"),
        ({"epochs": 0}, "must be at least 1"),
        ({"depth": 3}, "no hyper-parameter 'depth'"),
        ({"preset": "mnist"}, "has no preset 'mnist'; it has digits"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        recorded(make_agent("rsps", **TINY | settings), tmp_path / "x")


def test_a_preset_gives_way_to_what_is_said() -> None:
    given = asdict(make_agent("enas", preset="digits", width=7))  # type: ignore[call-overload]
    assert given["width"] == 7
    assert given["flip"] is False
    assert make_agent("enas").width == 16  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="has no preset 'digits'; it has none"):
        make_agent("random_search", preset="digits")


# -- the batch norms' choice -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["darts_v1", "darts_v2", "gdas"])
def test_agents_that_never_evaluate_do_not_feel_the_batch_norms_choice(name: str, tmp_path: Path) -> None:
    found = {
        tuple(architectures(recorded(tiny(name, batch_statistics=choice), tmp_path / choice)))
        for choice in ("none", "cells", "all")
    }
    assert len(found) == 1


def test_one_shot_accuracy_feels_it() -> None:
    architecture, found = Architecture((3,) * 6), []
    for choice in ("none", "cells", "all"):
        agent = tiny("rsps", batch_statistics=choice)
        lab = Lab(agent, load_task("digits"), seed=0)
        for _ in agent.train(lab):
            pass
        batch = next(lab.judging_batches(0))
        found.append((lab.accuracy(architecture, batch), lab.supernet.path(batch[0], architecture)))
    logits = [logits for _, logits in found]
    for one, other in itertools.combinations(logits, 2):
        assert not torch.allclose(one, other)


# -- images, rates, draws --------------------------------------------------------------------


def test_the_halves_cover_the_training_images() -> None:
    data = load_task("digits")
    both = torch.cat([half.splits["train"].images for half in halves(data)])
    assert len(both) == 797

    def rows(images: Tensor) -> list[bytes]:
        return sorted(image.numpy().tobytes() for image in images)

    assert rows(both) == rows(data.splits["train"].images)


def test_batches_pair_the_halves_and_set_the_rate() -> None:
    settings = WeightSharing(epochs=4, batch=100, width=2, cells=1, flip=False, pad=0)
    lab = Lab(settings, load_task("digits"), seed=0)
    seen, rates = [], []
    for (images, labels), (judging, _) in lab.batches(1):
        assert lab.supernet.training
        assert len(images) == len(labels)
        assert len(judging) <= 100
        seen.append(len(labels))
        rates.append(lab.sgd.param_groups[0]["lr"])
    assert seen == [100, 100, 100, 98]
    assert rates == [rate(settings, 1 + step / 4) for step in range(4)]
    assert rate(settings, 0) == pytest.approx(0.025)
    assert rate(settings, 2) == pytest.approx(0.013)
    assert rate(settings, 4) == pytest.approx(0.001)
    again = WeightSharing(epochs=40, cosine_epochs=10)
    assert rate(again, 10) == pytest.approx(0.001)
    assert rate(again, 20) == pytest.approx(0.025)


def test_connected_architectures_are_uniform_among_themselves() -> None:
    rng = np.random.default_rng(0)
    drawn = [connected(rng) for _ in range(4000)]
    into = [[e for e in range(6) if EDGES[e][1] == node] for node in (1, 2, 3)]
    for architecture in drawn:
        assert all(any(architecture.ops[e] != NONE for e in edges) for edges in into)
    none = np.mean([[op == NONE for op in a.ops] for a in drawn], axis=0)
    # P(edge is none | not all k of its node are) = (1/5 - 5^-k) / (1 - 5^-k)
    expected = [(0.2 - 5.0**-k) / (1 - 5.0**-k) for k in (1, 2, 2, 3, 3, 3)]
    assert np.abs(none - expected).max() < 0.03


def test_the_most_probable_architectures() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    found = most_probable(logits, 300)
    assert found[0] == strongest(logits)
    assert len(set(found)) == 300

    def chance(architecture: Architecture) -> float:
        return float(sum(logits.log_softmax(dim=1)[e, op] for e, op in enumerate(architecture.ops)))

    chances = [chance(a) for a in found]
    assert chances == sorted(chances, reverse=True)
    others = [Architecture.from_index(i) for i in range(0, 15_625, 37)]
    assert all(a in found or chance(a) <= chances[-1] + 1e-6 for a in others)


def test_the_best_candidate_is_found() -> None:
    """Weights that know the digits' answer for one architecture alone."""
    lab = Lab(WeightSharing(**TINY | {"flip": False, "pad": 0}), load_task("digits"), seed=0)
    candidates = [Architecture.from_index(i) for i in (5, 50, 500, 5000)]
    lab.accuracy = lambda architecture, batch: float(architecture.index == 500)  # type: ignore[method-assign]
    assert lab.best_of(candidates).index == 500


def test_one_thread_is_put_back() -> None:
    threads = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


# -- the page --------------------------------------------------------------------------------


def test_rows_are_judged_by_the_table() -> None:
    from benchmarks.studies.weight_sharing import judged
    from nb201env.tables import open_table

    table = open_table("cifar10-valid-200")
    best, optimum = table.optimum(split="valid", epochs=200)
    mean = table.accuracy(split="valid", epochs=200, run="mean")
    worst = Architecture.from_index(int(mean.argmin()))
    rows = [{"architecture": str(a), "cpu_seconds": 30.0} for a in (best, worst)]
    found = judged(rows, 3.0, table)["rows"]
    assert [row["rank"] for row in found] == [1, 15_626 - (mean == mean.min()).sum()]
    assert found[0]["accuracy"] == optimum
    assert found[0]["trainings"] == 10
    # the best of ten random ones lies, on average over its luck, around the best tenth
    assert 400 < found[0]["random_rank"] < 3000


def test_searches_are_collected_and_shown(tmp_path: Path) -> None:
    from benchmarks.studies.weight_sharing import collect, searches, tables
    from nb201env.tables import open_table

    for search in searches("NB201-cifar10-v0", [0], tmp_path):
        if search.agent in ("rsps", "darts_v1"):
            agent = tiny(search.agent, epochs=search.budget["budget_queries"], batch=1000)
            env = gym.make(search.env_id, **search.budget)
            record(agent, env, search.seed, search.path)
    (tmp_path / "training.json").write_text('{"seconds_per_training": 0.5}')
    found = collect("NB201-cifar10-v0", [0], tmp_path, open_table("cifar10-valid-200"))
    assert [(row["agent"], row["batch_statistics"]) for row in found["rows"]] == [
        ("rsps", "none"), ("rsps", "cells"), ("rsps", "all"), ("darts_v1", "cells"),
    ]  # fmt: skip
    darts = read(tmp_path / "cells" / "darts_v1-0.jsonl")
    assert found["rows"][3]["skips"] == [q["architecture"].count("skip") for q in darts.queries]
    text = tables(found)
    assert text.count("| RSPS |") == 3
    assert text.count("| DARTS-V1 |") == 2
    assert f" {found['rows'][3]['rank']:,} ({found['rows'][3]['rank']:,}) " in text
    assert "no ranks yet" in tables(collect("NB201-cifar10-v0", [0], tmp_path, None))


def test_the_page_shows_the_committed_numbers() -> None:
    from benchmarks.studies.weight_sharing import DATA, PAGE, tables

    assert tables(json.loads(DATA.read_text(encoding="utf-8"))) in PAGE.read_text(encoding="utf-8")
