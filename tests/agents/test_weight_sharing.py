"""The weight-sharing agents: gradients against exact ones, estimators, determinism, the contract."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from torch import Tensor, nn  # noqa: E402

from agents import check_agent, make_agent  # noqa: E402
from agents.recorder import record, replay  # noqa: E402
from agents.trajectory import read, read_cost  # noqa: E402
from agents.weight_sharing.darts import mixed_product, unrolled_gradient  # noqa: E402
from agents.weight_sharing.enas import Controller, initial_controller  # noqa: E402
from agents.weight_sharing.gdas import gumbel_sample  # noqa: E402
from agents.weight_sharing.gradient import strongest  # noqa: E402
from agents.weight_sharing.rsps import connected  # noqa: E402
from agents.weight_sharing.search import Lab, WeightSharing, halves, one_thread, rate  # noqa: E402
from agents.weight_sharing.setn import most_probable  # noqa: E402
from nb201env.space import EDGES, NONE, SKIP, Architecture  # noqa: E402
from training.tasks import load_task  # noqa: E402

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
    found = [
        architectures(recorded(tiny(name), tmp_path / str(i), **kwargs))
        for i, kwargs in enumerate(
            (
                {"budget_queries": 1},
                {"budget_queries": 2, "actions": "pick"},
                {"budget_queries": 5, "repeats": "free"},
                {"budget_queries": None, "budget_seconds": 7000.0},
            )
        )
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
        ({"depth": 3}, "unexpected keyword argument 'depth'"),
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
    lab.accuracy = lambda architecture, _: float(architecture.index == 500)  # type: ignore[method-assign]
    assert lab.best_of(candidates).index == 500


# -- DARTS -----------------------------------------------------------------------------------


class TinyProblem:
    """A smooth loss of two weights' tensors and logits, in double precision."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.double)

        self.weights = [draw(4, 3).requires_grad_(), draw(5, 4).requires_grad_()]
        self.logits = (0.3 * draw(6, 5)).requires_grad_()
        self.inputs = [draw(7, 3), draw(7, 3)]

    def loss(self, part: int, weights: list[Tensor] | None = None) -> Tensor:
        first, second = weights or self.weights
        mixed = torch.tanh(self.inputs[part] @ first.T) @ second.T
        return (torch.sin(mixed @ self.logits.softmax(dim=1).T) ** 2).mean()


def test_the_mixed_product_is_autograds() -> None:
    problem = TinyProblem()
    vector = [torch.ones_like(w) for w in problem.weights]
    gradients = torch.autograd.grad(problem.loss(0), problem.weights, create_graph=True)
    inner = sum((g * v).sum() for g, v in zip(gradients, vector, strict=True))
    assert isinstance(inner, Tensor)
    exact = torch.autograd.grad(inner, [problem.logits])[0]
    before = [w.detach().clone() for w in problem.weights]
    errors = []
    for radius in (1e-1, 1e-2, 1e-3):
        ours = mixed_product(lambda: problem.loss(0), problem.weights, problem.logits, vector, radius)
        errors.append(float((ours - exact).norm() / exact.norm()))
    assert errors[1] < 1e-4
    assert errors[0] / errors[1] == pytest.approx(100, rel=0.1)  # a central difference: error ~ radius²
    assert all(torch.equal(w, b) for w, b in zip(problem.weights, before, strict=True))


def test_the_unrolled_gradient_is_autograds_through_the_step() -> None:
    problem = TinyProblem()
    rate, decay, momentum = 0.3, 0.01, 0.9
    velocity = [0.1 * torch.ones_like(w) for w in problem.weights]

    def velocity_of(weight: Tensor) -> Tensor:
        return next(v for v, w in zip(velocity, problem.weights, strict=True) if w is weight)

    ours = unrolled_gradient(
        lambda: problem.loss(0),
        lambda: problem.loss(1),
        problem.weights,
        problem.logits,
        lambda w, g: rate * (g + decay * w + momentum * velocity_of(w)),
        rate,
        1e-3,
    )
    gradients = torch.autograd.grad(problem.loss(0), problem.weights, create_graph=True)
    stepped = [
        w - rate * (g + decay * w + momentum * v)
        for w, g, v in zip(problem.weights, gradients, velocity, strict=True)
    ]
    exact = torch.autograd.grad(problem.loss(1, stepped), [problem.logits])[0]
    first_order = torch.autograd.grad(problem.loss(1), [problem.logits])[0]
    torch.testing.assert_close(ours, exact, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(first_order, exact, rtol=0.05)


def test_a_vector_of_zeros_moves_nothing() -> None:
    problem = TinyProblem()
    zeros = [torch.zeros_like(w) for w in problem.weights]
    assert not mixed_product(lambda: problem.loss(0), problem.weights, problem.logits, zeros, 0.01).any()


def test_collapse_to_skip_connections_shows(tmp_path: Path) -> None:
    """Logits that favour skips from the start derive the all-skip cell, and the trajectory says so."""
    logits = torch.zeros(6, 5)
    logits[:, SKIP] = 0.1
    assert strongest(logits) == Architecture((SKIP,) * 6)
    from benchmarks.bench_weight_sharing import skips

    assert skips(str(strongest(logits))) == 6
    assert skips("|skip_connect~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|") == 2


# -- GDAS ------------------------------------------------------------------------------------


def test_gumbel_samples_follow_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, 0.5]] * 6)
    for tau in (10.0, 0.1):
        drawn = torch.tensor([gumbel_sample(logits, tau, generator)[0].ops for _ in range(2000)])
        shares = torch.bincount(drawn.flatten(), minlength=5) / drawn.numel()
        assert (shares - logits[0].softmax(dim=0)).abs().max() < 0.015


def test_gates_are_one_and_pass_the_straight_through_gradient() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    factor = torch.arange(1.0, 7.0)
    tau = 0.7
    architecture, gates = gumbel_sample(logits, tau, torch.Generator().manual_seed(2))
    assert torch.equal(gates, torch.ones(6))
    ours = torch.autograd.grad((gates * factor).sum(), [logits])[0]
    noise = -torch.empty(6, 5).exponential_(generator=torch.Generator().manual_seed(2)).log()
    p = ((logits + noise) / tau).softmax(dim=1)  # adding a constant per edge changes nothing
    for edge, op in enumerate(architecture.ops):
        assert op == int((logits + noise)[edge].argmax())
        expected = -p[edge, op] * p[edge] / tau  # d p_op / d logits = p_op (e_op - p) / tau
        expected[op] += p[edge, op] / tau
        torch.testing.assert_close(ours[edge], factor[edge] * expected, rtol=1e-4, atol=1e-6)


# -- ENAS ------------------------------------------------------------------------------------


def controller_of(edges: int, ops: int) -> Controller:
    torch.manual_seed(3)
    controller = Controller(8, 2.5, 5.0, edges, ops)
    for parameter in controller.parameters():
        nn.init.uniform_(parameter, -2, 2)
    return controller


def test_chances_sum_to_one_and_the_entropy_is_their_own() -> None:
    controller = controller_of(edges=3, ops=4)
    everything = torch.tensor(list(itertools.product(range(4), repeat=3)))
    with torch.no_grad():
        found = controller.judge(everything)
    chance = found.log_chance.exp()
    assert float(chance.sum()) == pytest.approx(1, abs=1e-5)
    assert float(chance.max() / chance.min()) > 5
    # the chain rule of entropy: the mean of the conditional entropies is the joint one
    joint = -(chance * found.log_chance).sum()
    assert float((chance * found.entropy).sum()) == pytest.approx(float(joint), rel=1e-4)
    assert float(joint) < 3 * math.log(4) - 0.05


def test_draws_follow_the_chances() -> None:
    controller = controller_of(edges=2, ops=3)
    everything = torch.tensor(list(itertools.product(range(3), repeat=2)))
    with torch.no_grad():
        expected = controller.judge(everything).log_chance.exp()
        drawn = controller.draw(20_000, torch.Generator().manual_seed(0))
        shares = torch.bincount(3 * drawn.ops[:, 0] + drawn.ops[:, 1], minlength=9) / 20_000
        torch.testing.assert_close(controller.judge(drawn.ops).log_chance, drawn.log_chance)
    assert (shares - expected).abs().max() < 0.015


def test_the_controllers_logits_are_bounded() -> None:
    controller = controller_of(edges=6, ops=5)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(50)
        chances = controller.draw(50, torch.Generator().manual_seed(0)).log_chance
    assert float(chances.min()) >= -6 * (5.0 + math.log(5)) - 1e-4  # each logit in (-2.5, 2.5)


def test_a_controller_starts_small_and_seeded() -> None:
    first, second = (initial_controller(32, 2.5, 5.0, torch.Generator().manual_seed(4)) for _ in range(2))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.abs().max() <= 0.1


def test_a_controller_learns_what_is_rewarded() -> None:
    """With a reward for 3x3 convolutions alone, ENAS draws more and more of them."""
    agent = tiny("enas", epochs=2, controller_steps=40, aggregate=8, controller_rate=0.02, batch=400)
    lab = Lab(agent, load_task("digits"), seed=0)
    shares = []

    def accuracy(architecture: Architecture, _: Any) -> float:
        shares.append(sum(op == 3 for op in architecture.ops) / 6)
        return shares[-1]

    lab.accuracy = accuracy  # type: ignore[method-assign]
    for _ in agent.train(lab):
        pass
    assert np.mean(shares[:40]) < 0.35
    assert np.mean(shares[-40:]) > 0.8


def test_one_thread_is_put_back() -> None:
    threads = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


# -- the page --------------------------------------------------------------------------------


def test_rows_are_judged_by_the_table() -> None:
    from benchmarks.bench_weight_sharing import judged
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
    from benchmarks.bench_weight_sharing import collect, searches, tables
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
    from benchmarks.bench_weight_sharing import PAGE, generated

    assert generated() in PAGE.read_text(encoding="utf-8")
