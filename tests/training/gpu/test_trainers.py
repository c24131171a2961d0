"""The GPU trainers do what the plain one does, to rounding, and serve the same builder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from typer.testing import CliRunner

from nb201env import Architecture
from nb201env.cli import build as program
from nb201env.space import SIZE
from nb201env.training import load_network
from nb201env.training.builds.build import Way, build
from nb201env.training.builds.merge import merge
from nb201env.training.builds.plan import Folder, Plan
from nb201env.training.data import Data
from nb201env.training.gpu.capture import Lane
from nb201env.training.gpu.codes import Codes
from nb201env.training.gpu.graphs import train_graphs
from nb201env.training.gpu.stacked import Stacked
from nb201env.training.gpu.trainer import Program, Shape, train_stacked
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import Alone, DivergedTraining, Logs, evaluate, train_plain
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.recipe import Recipe, find_recipe
from nb201env.training.trainers import trainer_for
from tests.training.builds.test_build import BUILD
from tests.training.gpu.common import BACKENDS, DEAD, DEVICE, EVERY, MIXED, ONE_OP, assert_same

DATA = load_task("digits")
RECIPE = replace(find_recipe("smoke-2"), epochs=1, width=4, pad=4)
TINY = Skeleton(width=4, cells=2, classes=10, image_size=16, channels=3)
TRAINERS = {"graphs": train_graphs, "stacked": train_stacked}
Trainer = Callable[..., tuple[Logs, list[Network]]]


def stacked_of(networks: list[Network], skeleton: Skeleton, backend: str = "torch") -> Stacked:
    model = Stacked(skeleton, Codes.of([n.architecture for n in networks], DEVICE), backend=backend)
    model.load(networks)
    return model


@pytest.mark.parametrize(
    "architectures", [ONE_OP + DEAD, EVERY, MIXED], ids=["one-op-and-dead", "every-op-and-edge", "mixed"]
)
def test_outputs_and_gradients(architectures: list[Architecture]) -> None:
    """A whole network: reductions, stem and classifier; 16 pixels, width 4."""
    networks = [initial_network(a, TINY, seed=9) for a in architectures]
    model = stacked_of(networks, TINY)
    torch.manual_seed(1)
    images, labels = torch.randn(8, 3, 16, 16), torch.randint(0, 10, (8,))
    logits = model(images.to(DEVICE)).cpu()
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(networks)), reduction="none")
    losses.view(len(networks), -1).mean(1).sum().backward()
    gradients = stacked_of(networks, TINY)  # a second one whose weights become the gradients
    with torch.no_grad():
        for ours, theirs in zip(gradients.parameters(), model.parameters(), strict=True):
            assert theirs.grad is not None
            ours.copy_(theirs.grad)
    for network in networks:
        functional.cross_entropy(network(images), labels).backward()
    expected = [n(images) for n in networks]  # in training mode, as `logits`
    torch.testing.assert_close(logits, torch.stack(expected), rtol=1e-4, atol=2e-5)
    found = [initial_network(a, TINY, seed=9) for a in architectures]
    gradients.store(found)
    for one, two in zip(found, networks, strict=True):
        for (name, ours), theirs in zip(one.named_parameters(), two.parameters(), strict=True):
            if theirs.grad is not None:
                torch.testing.assert_close(ours.data, theirs.grad, rtol=3e-3, atol=3e-4, msg=name)


def test_one_network_through_the_kernels() -> None:
    """Both programs of the whole model, Triton's in its interpreter where there is no GPU."""
    pytest.importorskip("triton")
    skeleton = Skeleton(width=2, cells=1, classes=3, image_size=4, channels=1)
    networks = [initial_network(a, skeleton, 2) for a in (MIXED[0], ONE_OP[3])]
    images, labels = torch.randn(3, 1, 4, 4, device=DEVICE), torch.tensor([0, 2, 1], device=DEVICE)
    models = [stacked_of(networks, skeleton, backend) for backend in ("torch", "triton")]
    for model in models:
        functional.cross_entropy(model(images).flatten(0, 1), labels.repeat(2)).backward()
    for (name, one), two in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-5, msg=name)
    for (name, ours), theirs in zip(models[0].named_buffers(), models[1].buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=name)
    with torch.no_grad():
        evaluated = [model.eval()(images) for model in models]
    torch.testing.assert_close(*evaluated, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", [MIXED[0], ONE_OP[3], DEAD[0]], ids=str)
def test_weights_go_in_and_come_back(architecture: Architecture) -> None:
    networks = [initial_network(a, TINY, seed=9) for a in (architecture, MIXED[1])]
    model = stacked_of(networks, TINY)
    blank = [initial_network(a, TINY, seed=1) for a in (architecture, MIXED[1])]
    model.store(blank)
    images = torch.randn(4, 3, 16, 16)
    for one, two in zip(blank, networks, strict=True):
        assert torch.equal(one.eval()(images), two.eval()(images))


@pytest.mark.parametrize("trainer", TRAINERS.values(), ids=TRAINERS)
@pytest.mark.parametrize("architectures", [ONE_OP, MIXED[:6] + DEAD], ids=["one-op", "mixed-and-dead"])
def test_the_first_epoch_of_training(trainer: Trainer, architectures: list[Architecture]) -> None:
    """Rounding grows with every step, so only two steps are compared closely."""
    plain, networks = train_plain(architectures, DATA, RECIPE, seed=3)
    found, stored = trainer(architectures, DATA.to(DEVICE), RECIPE, seed=3, dtype=torch.float32)
    np.testing.assert_allclose(found.loss["train"], plain.loss["train"], rtol=1e-4)
    np.testing.assert_allclose(found.loss["test"], plain.loss["test"], rtol=5e-3)
    assert np.abs(found.correct["train"] - plain.correct["train"]).max() <= 1
    for one, two in zip(networks, stored, strict=True):
        for name, value in one.state_dict().items():
            # Of an architecture through which nothing passes the stem gets no gradient at all, and so
            # no weight decay, in plain PyTorch; here it gets zero, and decays. It computes nothing.
            if not name.endswith("num_batches_tracked") and not name.startswith("stem."):
                torch.testing.assert_close(two.state_dict()[name].cpu(), value, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_through_both_programs(backend: str) -> None:
    recipe = replace(RECIPE, width=2, batch=8, train_images=12)
    splits = {name: type(s)(s.images[:20, :, :4, :4], s.labels[:20]) for name, s in DATA.splits.items()}
    data = Data(DATA.task, splits, DATA.mean, DATA.std, DATA.classes).to(DEVICE)
    plain, _ = train_plain(MIXED[:2], data, recipe, seed=3)
    found, _ = train_stacked(MIXED[:2], data, recipe, seed=3, dtype=torch.float32, backend=backend)
    np.testing.assert_allclose(found.loss["train"], plain.loss["train"], rtol=1e-4)
    np.testing.assert_allclose(found.loss["valid"], plain.loss["valid"], rtol=5e-3)


@pytest.mark.parametrize("trainer", TRAINERS.values(), ids=TRAINERS)
def test_networks_do_not_touch_each_other(trainer: Trainer) -> None:
    data = DATA.to(DEVICE)
    alone = trainer(MIXED[:1], data, RECIPE, seed=1, dtype=torch.float32)[0]
    together = trainer(MIXED[:5], data, RECIPE, seed=1, dtype=torch.float32)[0]
    np.testing.assert_allclose(together.loss["train"][0], alone.loss["train"][0], rtol=1e-5)


def test_groups_in_flight_do_not_change_the_numbers() -> None:
    data = DATA.to(DEVICE)
    two, three = (train_graphs(MIXED[:5], data, RECIPE, 1, in_flight=n)[0] for n in (2, 3))
    assert_same(two, three)


def test_a_program_serves_one_shard_after_the_other() -> None:
    """Nothing of the first shard's weights, momentum or sums is left for the second."""
    data = DATA.to(DEVICE)
    skeleton = Skeleton(RECIPE.width, RECIPE.cells, 10, 8, 1)
    shape = Shape(3, skeleton, RECIPE, data.mean.device, torch.float32, "torch")
    fresh = Program.of(shape, MIXED[3:6], data)
    used = Program.of(shape, MIXED[3:6], data)
    lengths = {(edge, op): 3 for edge in range(6) for op in range(1, 5)}
    used.model.codes.members.update(Codes.of(MIXED[3:6], DEVICE, 18, lengths).members)
    object.__setattr__(used.model.codes, "capacity", 18)
    assert used.fits(MIXED[:3])
    assert not used.fits(MIXED[:2])
    used.train([initial_network(a, skeleton, 5) for a in MIXED[:3]], data, seed=5)
    logs = [p.train([initial_network(a, skeleton, 6) for a in MIXED[3:6]], data, 6) for p in (fresh, used)]
    np.testing.assert_allclose(logs[1].loss["train"], logs[0].loss["train"], rtol=1e-6)
    np.testing.assert_allclose(logs[1].loss["valid"], logs[0].loss["valid"], rtol=1e-5)


def test_evaluation_counts_every_image_once() -> None:
    """Whatever the batch, full or filled up."""
    network = initial_network(MIXED[0], Skeleton(4, 1, 10, 8, 1), 1).to(DEVICE)
    data = DATA.to(DEVICE)
    correct, loss = evaluate(Alone(network), data, data.splits["valid"])
    for batch in (500, 128, 7):
        lane = Lane(Alone(network), 1, replace(RECIPE, batch=batch), data)
        found, mean = lane.evaluate(data.splits["valid"])
        assert int(found) == int(correct)
        assert float(mean) == pytest.approx(float(loss), rel=1e-5)


@pytest.mark.parametrize("trainer", TRAINERS.values(), ids=TRAINERS)
def test_a_diverging_training_is_named(trainer: Trainer) -> None:
    recipe = replace(RECIPE, learning_rate=1e30)
    with pytest.raises(DivergedTraining, match=r"seed 1\) is (nan|inf) in epoch 1 of 1 .*learning_rate"):
        trainer(ONE_OP[3:4], DATA.to(DEVICE), recipe, 1)


def test_half_precision_learns_too() -> None:
    recipe = replace(RECIPE, epochs=3, train_images=256, pad=0)
    some = [Architecture((3, 1, 2, 4, 0, 3)), Architecture((2, 2, 1, 1, 3, 1))]
    exact, rounded = (
        train_stacked(some, DATA.to(DEVICE), recipe, 4, dtype=dtype, backend="torch")[0]
        for dtype in (torch.float32, torch.bfloat16)
    )
    np.testing.assert_allclose(rounded.loss["train"][:, 0], exact.loss["train"][:, 0], rtol=0.03)
    assert (rounded.loss["train"][:, -1] < rounded.loss["train"][:, 0]).all()


# -- behind the builder ----------------------------------------------------------------------


def plan(trainer: str, **changes: Any) -> Plan:
    values: dict[str, Any] = {
        "task": "digits", "data": DATA.digest, "recipe": replace(RECIPE, epochs=2), "seeds": (1,),
        "trainer": trainer, "shard": 3, "only": tuple(a.index for a in MIXED[:5]),
    }  # fmt: skip
    return Plan(**values | changes)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_build_is_resumable_and_repeatable(trainer: str, tmp_path: Path) -> None:
    """To the bit, but for PyTorch's own operations on a GPU, of which only cuDNN's promise it."""
    whole = Folder.create(tmp_path / "whole", plan(trainer))
    build(whole, Way(DEVICE))
    parts = Folder.create(tmp_path / "parts", plan(trainer))
    build(parts, Way(DEVICE), limit_seconds=1e-3)
    build(parts, Way(DEVICE))
    tables = [merge(f, tmp_path / f"{i}.safetensors", DATA) for i, f in enumerate((whole, parts))]
    if trainer == "stacked" or DEVICE == "cpu":
        assert tables[0].id == tables[1].id
    else:
        one, two = (table.runs(split="valid", epochs=2) for table in tables)
        np.testing.assert_allclose(one, two, atol=0.05)
    assert tables[0].manifest["provenance"]["trainer"] == trainer
    plain = Folder.create(tmp_path / "plain", plan("plain"))
    assert plain.plan.digest != whole.plan.digest


@pytest.mark.parametrize("trainer", TRAINERS)
def test_weights_give_the_recorded_accuracy(trainer: str, tmp_path: Path) -> None:
    index = MIXED[0].index
    folder = Folder.create(tmp_path, plan(trainer, only=(index,)))
    build(folder, Way(DEVICE, weights=True))
    table = merge(folder, tmp_path / "t.safetensors", DATA)
    network = load_network(table, index, 1)
    for split in ("valid", "test"):
        correct, _ = evaluate(Alone(network), DATA, DATA.splits[split])
        recorded = table.query(index, split=split, epochs=2, run=1).accuracy * 500
        # In float32 the same images; with bfloat16 on a GPU a few fall on the other side.
        assert abs(int(correct) - recorded) <= (0.5 if DEVICE == "cpu" else 25)


def test_what_auto_means() -> None:
    assert [trainer_for(*case) for case in (("cuda", 32), ("cuda:0", 8), ("cpu", 8), ("cpu", 32))] == [
        "stacked", "stacked", "compiled", "plain",
    ]  # fmt: skip


def test_the_command(tmp_path: Path) -> None:
    only = ",".join(map(str, MIXED[:2]))
    command = [*BUILD, "--seeds", "3", "--out", str(tmp_path), "--only", only, "--trainer", "stacked"]
    result = CliRunner().invoke(program(), command)
    assert result.exit_code == 0, result.output
    assert "1 of 1 shards" in result.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(tmp_path: Path) -> None:
    command = [*BUILD, "--out", str(tmp_path), "--only", "index:62", "--device", "cuda"]
    result = CliRunner().invoke(program(), command)
    assert isinstance(result.exception, ValueError)
    assert "sees none here; use --device cpu" in str(result.exception)


@pytest.mark.slow
def test_whole_runs_agree_in_distribution() -> None:
    """Over full runs rounding turns into noise, which must favour no trainer, op or depth."""
    recipe: Recipe = replace(find_recipe("smoke-2"), epochs=6, width=4, train_images=512)
    some = [Architecture.from_index(int(i)) for i in np.random.default_rng(0).choice(SIZE, 64)]
    plain, found = (
        train_plain(some, DATA, recipe, 5)[0], train_stacked(some, DATA.to(DEVICE), recipe, 5)[0],
    )  # fmt: skip
    difference = (found.correct["valid"][:, -1] - plain.correct["valid"][:, -1]) / 500
    noise = difference.std() / np.sqrt(len(some))
    assert abs(difference.mean()) < 3 * noise + 0.002
    ops = np.array([a.ops for a in some])
    counts = np.stack([(ops == op).sum(axis=1) for op in range(5)], axis=1)  # of each op, and so of depth
    for count in counts.T:
        slope, error = np.polyfit(count, difference, 1)[0], difference.std() / (count.std() * 8)
        assert abs(slope) < 4 * error + 0.002
