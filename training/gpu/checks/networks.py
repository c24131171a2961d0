"""The parts about whole networks: first steps, and recorded steps beside steps that just run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from nb201env.architecture import Architecture
from nb201env.training.data import SPLITS, Data, Split
from nb201env.training.gpu.capture import Lane, fit
from nb201env.training.gpu.checks.blocks import randomised
from nb201env.training.gpu.checks.findings import Allowed, Findings, unwritten_shows
from nb201env.training.gpu.checks.rounded import round_where_stored
from nb201env.training.gpu.checks.setting import Setting, architectures, exact
from nb201env.training.gpu.codes import Codes, count_convolutions, count_members, live_codes
from nb201env.training.gpu.graphs import lanes_of
from nb201env.training.gpu.stacked import Stacked
from nb201env.training.gpu.trainer import Program, Shape
from nb201env.training.loop import Logs, concatenate, skeleton_for
from nb201env.training.network import Network, initial_network
from nb201env.training.precision import exact_float32
from nb201env.training.recipe import Recipe, find_recipe

_RECIPE = find_recipe("official-12")
_REST = 168 / 256
"""Of a batch: what is left of CIFAR-10's 25,000 images at the end of an epoch."""
_MOVED = ("running_mean", "running_var")


def images_like(device: torch.device, side: int, train: int, evaluated: int) -> Data:
    """Random images and labels on a device, in CIFAR-10's form; always the same.

    Args:
        device: Where they live.
        side: Of the images, in pixels.
        train: Images of the training split.
        evaluated: Images of each of the other splits.
    """
    generator = torch.Generator().manual_seed(side)

    def split(count: int) -> Split:
        pixels = torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.randint(0, 10, (count,), generator=generator))

    splits = {name: split(train if name == "train" else evaluated) for name in SPLITS}
    return Data("random", splits, torch.full((3,), 120.0), torch.full((3,), 70.0), 10).to(device)


# -- first steps ---------------------------------------------------------------------------------


def network(setting: Setting, width: int, side: int) -> Findings:
    """An evaluation and the first two steps of whole stacked networks: losses, gradients, statistics.

    The program is made for the architectures in one order and with room for more, then loaded with
    them in two others.
    """
    some = architectures(setting.networks)
    recipe = replace(_RECIPE, batch=setting.batch, cells=1, width=width, learning_rate=0.01)
    data = images_like(setting.device, side, setting.batch, 1)
    skeleton = skeleton_for(data, recipe)
    ops = live_codes(some)
    lengths = {key: n + 1 for key, n in count_members(ops).items()}
    codes = Codes.of(some[::-1], setting.device, count_convolutions(ops) + 1, lengths)
    model = Stacked(skeleton, codes, setting.dtype, setting.backend)
    lane = Lane(model, len(some), recipe, data)
    lane.records = False  # recorded steps are another part's business
    findings = Findings()
    for seed, chosen in enumerate((some[1:] + some[:1], some)):
        torch.manual_seed(seed)
        networks = [randomised(Network(a, skeleton)) for a in chosen]
        model.load(networks)
        lane.restart()
        with unwritten_shows():
            losses, ours = _steps(lane, partial(_by_plain_names, model, networks))
        for k, plain in enumerate(networks):
            round_where_stored(plain.to(setting.device), setting.dtype, setting.terms)
            expected, theirs = _plain_steps(plain, data, recipe)
            mine, deep = [loss[k] for loss in losses], setting.allowed.deep
            _compare_steps(findings, setting, deep, mine, expected, ours[k], theirs, chosen[k])
    return findings


def _compare_steps(
    findings: Findings, setting: Setting, gradients: Allowed, losses: list[Tensor],
    expected: list[Tensor], ours: dict[str, Tensor], theirs: dict[str, Tensor], architecture: Architecture,
) -> None:  # fmt: skip
    allowed = setting.allowed
    findings.compare("loss in evaluation mode", losses[0], expected[0], allowed.loss, architecture)
    findings.compare("loss 1", losses[1], expected[1], allowed.loss, architecture)
    for name, tensor in theirs.items():
        if name.endswith(_MOVED):
            findings.compare("moved", ours[name], tensor, allowed.deep_moved, architecture, name)
    if setting.dtype != torch.float32 and not exact(architecture):
        return  # one sign that differs in an early cell changes all gradients by tenths, and what follows
    findings.compare("loss 2", losses[2], expected[2], allowed.loss, architecture)
    for ending, part in (("weight", 0.1), ("bias", 1.0)):
        # A later batch norm takes away again what a bias adds: then it has hardly a gradient of its own,
        # but the errors of one, and so they are measured by the others'.
        some = {name: tensor for name, tensor in theirs.items() if name.endswith(ending)}
        usual = part * float(torch.cat([t.flatten() for t in some.values()]).square().mean().sqrt())
        for name, tensor in some.items():
            findings.compare("gradient", ours[name], tensor, gradients, architecture, f"of {name}", usual)


T = TypeVar("T")


def _steps(lane: Lane, gradients: Callable[[], T]) -> tuple[list[Tensor], T]:
    """Losses of an evaluation and two steps, and what `gradients` finds after the first."""
    split = lane.data.splits["train"]
    images = lane.data.normalise(split.images)
    losses = [lane.evaluate(split)[1]]
    lane.train(images, split.labels)
    losses.append(lane.take(len(split.labels))[1])
    found = gradients()
    lane.train(images, split.labels)
    losses.append(lane.take(len(split.labels))[1])
    return losses, found


def _by_plain_names(model: Stacked, networks: list[Network]) -> list[dict[str, Tensor]]:
    """Every network's gradients, and its statistics, under the plain network's names."""
    like = Stacked(model.skeleton, model.codes, model.dtype)
    with torch.no_grad():
        for parameter, source in zip(like.parameters(), model.parameters(), strict=True):
            parameter.copy_(torch.zeros_like(source) if source.grad is None else source.grad)
        for buffer, moved in zip(like.buffers(), model.buffers(), strict=True):
            buffer.copy_(moved)
    plain = copy.deepcopy(networks)
    like.store(plain)
    device = model.weight.device
    return [{name: tensor.to(device) for name, tensor in n.state_dict().items()} for n in plain]


@exact_float32()
def _plain_steps(plain: Network, data: Data, recipe: Recipe) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The same of one plain network; gradients of those weights that get any."""
    optimizer = torch.optim.SGD(
        plain.parameters(), recipe.learning_rate, recipe.momentum,
        nesterov=recipe.nesterov, weight_decay=recipe.weight_decay,
    )  # fmt: skip
    pixels, labels = data.splits["train"]
    images, found = data.normalise(pixels).to(plain.classifier.weight.dtype), dict[str, Tensor]()
    with torch.no_grad():
        losses = [functional.cross_entropy(plain.eval()(images), labels)]
    plain.train()
    for step in range(2):
        loss = functional.cross_entropy(plain(images), labels)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            found = _gradients(plain)
        optimizer.step()
        losses.append(loss.detach())
    return losses, found


def plain(setting: Setting, width: int, side: int) -> Findings:
    """The first steps of plain networks in float32 on this device, beside the same in float64 on a CPU.

    All else is held to plain networks on this device; were those wrong themselves, for a fault of PyTorch or
    cuDNN, it would not be seen, or be laid at another's door.
    """
    recipe = replace(_RECIPE, batch=min(setting.batch, 16), cells=1, width=width, learning_rate=0.01)
    data, exact_data = (images_like(d, side, recipe.batch, 1) for d in (setting.device, torch.device("cpu")))
    setting, findings = replace(setting, dtype=torch.float32), Findings()
    torch.manual_seed(side)
    for architecture in architectures(setting.networks):
        network = randomised(Network(architecture, skeleton_for(data, recipe)))
        expected, theirs = _plain_steps(copy.deepcopy(network).double(), exact_data, recipe)
        losses, ours = _plain_steps(network.to(setting.device), data, recipe)
        here = {name: tensor.cpu() for name, tensor in ours.items()}
        deep, mine = setting.allowed.deep, [loss.cpu() for loss in losses]
        _compare_steps(findings, setting, deep, mine, expected, here, theirs, architecture)
    return findings


# -- recorded steps ------------------------------------------------------------------------------

Trained = list[tuple[Logs, list[Network]]]
"""Logs and networks of two trainings, one after the other."""


def stacked(setting: Setting, width: int, side: int) -> Findings:
    """Two trainings by one recorded program, the second of other architectures, beside the same unrecorded.

    Two epochs of two full batches and a rest each, and evaluations whose last batch is filled up.
    """

    def train(some: list[Architecture], data: Data, recipe: Recipe, records: bool) -> Trained:
        shape = Shape(
            len(some), skeleton_for(data, recipe), recipe, setting.device, setting.dtype, setting.backend
        )
        program = Program.of(shape, some, data)
        if not records:
            program.lane.records = False
        done: Trained = []
        for seed, chosen in enumerate((some, some[1:] + some[:1])):
            networks = [initial_network(a, shape.skeleton, seed) for a in chosen]
            done.append((program.train(networks, data, seed), networks))
        return done

    return _replayed(setting, width, side, architectures(min(setting.networks, 16)), train)


def graphs(setting: Setting, width: int, side: int) -> Findings:
    """Plain networks in flight side by side, with mixed precision: recorded steps beside the same unrecorded.

    And an evaluation and the first two steps beside the plain network in float32, as of stacked networks.
    """

    def train(some: list[Architecture], data: Data, recipe: Recipe, records: bool) -> Trained:
        networks = [initial_network(a, skeleton_for(data, recipe), 0) for a in some]
        lanes = lanes_of(networks, data, recipe, setting.dtype)
        if not records:
            for lane in lanes:
                lane.records = False
        return [(concatenate(fit(lanes, [[a] for a in some], data, recipe, 0)), networks)]

    some = architectures(min(setting.networks, 8))
    findings = _replayed(setting, width, side, some, train)
    recipe = replace(_RECIPE, batch=setting.batch, cells=1, width=width, learning_rate=0.01)
    data = images_like(setting.device, side, setting.batch, 1)
    torch.manual_seed(side)
    networks = [randomised(initial_network(a, skeleton_for(data, recipe), 0)) for a in some]
    for plain, lane in zip(networks, lanes_of(networks, data, recipe, setting.dtype), strict=True):
        lane.records = False
        theirs = copy.deepcopy(plain)
        losses, ours = _steps(lane, partial(_gradients, plain))
        expected, gradients = _plain_steps(theirs, data, recipe)
        mine, mixed = [loss[0] for loss in losses], setting.allowed.mixed
        _compare_steps(findings, setting, mixed, mine, expected, ours, gradients, plain.architecture)
    return findings


def _gradients(plain: Network) -> dict[str, Tensor]:
    gradients = {n: p.grad.clone() for n, p in plain.named_parameters() if p.grad is not None}
    return gradients | {n: b.clone() for n, b in plain.named_buffers() if n.endswith(_MOVED)}


def _replayed(
    setting: Setting, width: int, side: int, some: list[Architecture], train: Callable[..., Trained]
) -> Findings:
    """Logs and weights of a training whose steps are recorded beside the same without records."""
    batch, allowed = setting.batch, setting.allowed.replayed
    recipe = replace(_RECIPE, epochs=2, batch=batch, cells=1, width=width)
    rest = max(1, int(_REST * batch))
    data = images_like(setting.device, side, 2 * batch + rest, batch + rest)
    findings = Findings()
    eager, recorded = (train(some, data, recipe, records) for records in (False, True))
    for seed, ((logs, networks), (same, replayed)) in enumerate(zip(eager, recorded, strict=True)):
        for k, (one, two) in enumerate(zip(networks, replayed, strict=True)):
            architecture = one.architecture
            for split in SPLITS:
                loss, ours = (torch.from_numpy(log.loss[split][k]) for log in (logs, same))
                findings.compare("loss", ours, loss, allowed, architecture, f"of {split}")
            start = initial_network(architecture, one.skeleton, seed).state_dict()
            expected, found = (_way(n, start) for n in (one, two))
            usual = 0.1 * float(torch.cat([t.flatten() for t in expected.values()]).square().mean().sqrt())
            for name, way in expected.items():
                findings.compare("replayed", found[name], way, allowed, architecture, f"of {name}", usual)
    return findings


def _way(network: Network, start: dict[str, Tensor]) -> dict[str, Tensor]:
    """How far weights and statistics have come: a step too many hides behind the weight itself."""
    now = network.state_dict().items()
    return {name: tensor.cpu() - start[name] for name, tensor in now if not name.endswith("tracked")}
