"""Recording leaves no trace: not in weights, momentum, statistics, sums or gradients.

Where there is no GPU, what talks to CUDA is replaced by what it means. Streams and the cache note what
is done to them, and a recording, which runs nothing, gives what runs the work. All else is the real thing.
"""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from nb201env.training.data import Data, Split, batches
from nb201env.training.gpu import capture
from nb201env.training.gpu.capture import Lane, Step, evaluate, fit, planned_steps
from nb201env.training.gpu.codes import Codes
from nb201env.training.gpu.graphs import train_graphs
from nb201env.training.gpu.stacked import Stacked
from nb201env.training.images.tasks import load_task
from nb201env.training.loop import Alone
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.recipe import find_recipe
from tests.training.gpu.common import DEVICE, MIXED, assert_same

GREY = load_task("digits")
DATA = Data(  # of three channels, so that there is one way alone for a pixel's channels to lie side by side
    GREY.task, {name: Split(s.images.repeat(1, 3, 1, 1), s.labels) for name, s in GREY.splits.items()},
    GREY.mean.repeat(3), GREY.std.repeat(3), GREY.classes,
).to(DEVICE)  # fmt: skip
RECIPE = replace(find_recipe("smoke-2"), width=4, batch=48)  # 128 images: two whole batches and a rest
SKELETON = Skeleton(4, 1, 10, 8, 3)
ON_CPU = pytest.mark.skipif(DEVICE != "cpu", reason="replaces CUDA by a stand-in")


class Pretended:
    """A stand-in for `torch.cuda`: what was done, in order, and on which stream and pool."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.current = self.main = PretendedStream(self)
        self.pools = 0

    def new_stream(self, device: Any = None) -> PretendedStream:
        return PretendedStream(self)

    def new_pool(self) -> int:
        self.pools += 1
        return self.pools

    @contextlib.contextmanager
    def stream(self, stream: PretendedStream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def record(self, work: Callable[[], None], stream: Any, pool: Any) -> Callable[[], None]:
        self.events.append(("record", self.current, stream, pool))

        def replay() -> None:
            self.events.append(("replay", self.current, stream, pool))
            work()

        return replay


class PretendedStream:
    def __init__(self, cuda: Pretended) -> None:
        self.cuda = cuda

    def wait_stream(self, other: PretendedStream) -> None:
        self.cuda.events.append(("wait", self, other))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    found = Pretended()
    for name, value in (
        ("Stream", found.new_stream), ("graph_pool_handle", found.new_pool), ("stream", found.stream),
        ("current_stream", lambda device=None: found.current),
        ("synchronize", lambda device=None: found.events.append(("synchronize",))),
        ("empty_cache", lambda: found.events.append(("empty",))),
    ):  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(capture, "_record", found.record)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: None)
    real = Lane._step

    def step(lane: Lane, training: bool, images: torch.Tensor, *rest: torch.Tensor) -> None:
        found.events.append(("step", found.current, Step(training, len(images))))
        real(lane, training, images, *rest)

    monkeypatch.setattr(Lane, "_step", step)
    return found


def recording(lane: Lane, own_stream: bool = False) -> Lane:
    """A lane that records; on a CPU, made to believe that it is on a GPU."""
    if DEVICE == "cpu":
        lane.records = True
        lane.stream, lane._pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
        lane._aside = lane.stream if own_stream else None
    return lane


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> None:
    """Recording works: on a GPU by itself, on a CPU by the stand-in."""
    if DEVICE == "cpu":
        request.getfixturevalue("cuda")


def stacked_lane(records: bool = True) -> tuple[Lane, Stacked]:
    networks = [initial_network(a, SKELETON, 3) for a in MIXED[:3]]
    model = Stacked(SKELETON, Codes.of(MIXED[:3], DEVICE))
    model.load(networks)
    lane = Lane(model, 3, RECIPE, DATA)
    if records:
        return recording(lane), model
    lane.records = False
    return lane, model


def plain_lane(records: bool = True, number: int = 0) -> tuple[Lane, Network]:
    network = initial_network(MIXED[number], SKELETON, 3).to(DEVICE)
    lane = Lane(Alone(network), 1, RECIPE, DATA, own_stream=True)
    if records:
        return recording(lane, own_stream=True), network
    lane.records = False
    return lane, network


# -- the numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("make", [stacked_lane, plain_lane], ids=["stacked", "plain"])
def test_recorded_steps_are_the_steps(make: Callable[..., Any], recorded: None) -> None:
    results = []
    for records in (False, True):
        lane, model = make(records)
        some = MIXED[: len(lane.correct)]
        logs = fit([lane], [some], DATA, RECIPE, seed=2)[0]
        results.append((logs, model.state_dict()))
    (eager, weights), (replayed, same) = results
    assert_same(replayed, eager)
    rtol, atol = (0.0, 0.0) if DEVICE == "cpu" else (1e-3, 1e-4)
    for name, value in weights.items():
        torch.testing.assert_close(same[name], value, msg=name, rtol=rtol, atol=atol)


def test_recording_changes_nothing(recorded: None) -> None:
    """Weights, statistics, momentum and sums after it are those from before, and no gradient is left."""
    lane, model = stacked_lane()
    images, labels = next(batches(DATA, RECIPE, 1, 0))
    lane.train(images, labels)
    before = [tensor.clone() for tensor in lane._state()]
    lane._record(Step(True, len(labels)), images)
    assert any(momentum.any() for momentum in lane._momentum())
    for tensor, value in zip(lane._state(), before, strict=True):
        torch.testing.assert_close(tensor, value, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_rate_is_read_at_every_replay(recorded: None) -> None:
    lane, model = stacked_lane()
    images, labels = next(batches(DATA, RECIPE, 1, 0))
    lane.train(images, labels)
    before = model.weight.detach().clone()
    lane.rate.fill_(0.0)
    lane.train(images, labels)
    assert torch.equal(model.weight, before)


def test_a_restart_forgets_the_momentum(recorded: None) -> None:
    lane, model = stacked_lane()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    batch = next(batches(DATA, RECIPE, 1, 0))
    ends = []
    for _ in range(2):
        model.load_state_dict(start)
        lane.restart()
        lane.train(*batch)
        ends.append(model.weight.detach().clone())
    assert torch.equal(*ends)


def test_lanes_side_by_side_are_lanes_one_after_the_other(recorded: None) -> None:
    together = fit([plain_lane(True, n)[0] for n in range(3)], [[a] for a in MIXED[:3]], DATA, RECIPE, 2)
    for number, logs in enumerate(together):
        alone = fit([plain_lane(True, number)[0]], [MIXED[number : number + 1]], DATA, RECIPE, 2)[0]
        assert_same(logs, alone)


# -- streams and memory ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "batch", "steps"),
    [
        (25_000, 256, [(True, 256), (True, 168), (False, 256)]),
        (512, 256, [(True, 256), (False, 256)]),
        (100, 256, [(True, 100), (False, 256)]),
    ],
)
def test_the_steps_of_a_training(images: int, batch: int, steps: list[tuple[bool, int]]) -> None:
    """The largest first, because the others use its memory again."""
    assert planned_steps(images, batch) == steps


@ON_CPU
def test_everything_is_warmed_up_before_anything_is_recorded(cuda: Pretended) -> None:
    """And the cache is given back in between: so what fits at the start fits to the end."""
    lane, _ = stacked_lane()
    lane.train(*next(batches(DATA, RECIPE, 1, 0)))
    kinds = [event[0] for event in cuda.events]
    assert kinds.count("record") == 3
    first, last = kinds.index("record"), len(kinds) - kinds[::-1].index("record")
    warmed = {event[2] for event in cuda.events[:first] if event[0] == "step"}
    assert warmed == set(planned_steps(128, 48))
    assert kinds[first - 2 : first] == ["synchronize", "empty"]
    assert "step" not in kinds[first:last]
    assert kinds[last:] == ["synchronize", "replay", "step"]
    fit([lane], [MIXED[:3]], DATA, RECIPE, seed=2)
    assert [event[0] for event in cuda.events].count("record") == 3  # nothing later needs more memory


@ON_CPU
def test_a_batch_of_another_size_is_recorded_when_it_comes(cuda: Pretended) -> None:
    lane, _ = stacked_lane()
    images, labels = next(batches(DATA, RECIPE, 1, 0))
    lane.train(images, labels)
    lane.train(images[:7], labels[:7])
    lane.train(images[:7], labels[:7])
    assert [event[0] for event in cuda.events].count("record") == 4


@ON_CPU
def test_each_lane_has_a_stream_and_a_pool_of_its_own(cuda: Pretended) -> None:
    """For warming up and recording, and for replays too if it works beside others."""
    lanes = [plain_lane(True, 0)[0], plain_lane(True, 1)[0], stacked_lane()[0]]
    fit(lanes, [MIXED[:1], MIXED[1:2], MIXED[:3]], DATA, replace(RECIPE, epochs=1), seed=2)
    assert len({lane.stream for lane in lanes}) == len({lane._pool for lane in lanes}) == 3
    records = [event[1:] for event in cuda.events if event[0] == "record"]
    assert records == [(lane.stream, lane.stream, lane._pool) for lane in lanes for _ in range(3)]
    warm_ups = {event[1] for event in cuda.events if event[0] == "step"}
    assert {lane.stream for lane in lanes} <= warm_ups
    ran = {event[1:] for event in cuda.events if event[0] == "replay"}
    beside = [(lane.stream, lane.stream, lane._pool) for lane in lanes[:2]]
    assert ran == {*beside, (cuda.main, lanes[2].stream, lanes[2]._pool)}
    assert cuda.current is cuda.main


@ON_CPU
def test_evaluations_do_not_wait_for_each_other(cuda: Pretended) -> None:
    """All lanes have all of their work before the main stream waits for the first of them."""
    lanes = [plain_lane(True, number)[0] for number in range(2)]
    evaluate(lanes, DATA.splits["valid"])
    cuda.events.clear()
    evaluate(lanes, DATA.splits["valid"])
    joins = [at for at, event in enumerate(cuda.events) if event[:2] == ("wait", cuda.main)]
    replays = [event[1] for event in cuda.events[: joins[0]] if event[0] == "replay"]
    assert len(joins) == 2
    assert replays == [lane.stream for _ in range(11) for lane in lanes]  # 500 images by 48
    assert not any(event[0] == "replay" for event in cuda.events[joins[0] :])


@ON_CPU
def test_the_memory_of_a_lane_goes_with_it(cuda: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a circle of references, which would hold gigabytes until Python looks for circles."""
    monkeypatch.setattr(capture, "_record", lambda work, stream, pool: lambda: None)
    lane, model = stacked_lane()
    lane.train(*next(batches(DATA, RECIPE, 1, 0)))
    alive: list[weakref.ref[Any]] = [weakref.ref(lane), weakref.ref(model)]
    gc.disable()
    try:
        del lane, model
        assert [one() for one in alive] == [None, None]
    finally:
        gc.enable()


# -- a recording that fails ------------------------------------------------------------------


class Graph:
    """In the place of `torch.cuda.graph`: ending a recording that failed fails, too."""

    ends_badly = False

    def __init__(self, graph: Any, pool: Any, stream: Any) -> None:
        self.given = graph, pool, stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if self.ends_badly:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> type[Graph]:
    monkeypatch.setattr(Graph, "ends_badly", False)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: type("Made", (), {"replay": "replay"}))
    return Graph


def fail() -> None:
    raise torch.OutOfMemoryError("tried to allocate 3 GiB")


@ON_CPU
def test_the_cause_of_a_failed_recording_is_what_is_said(graphs: type[Graph]) -> None:
    """PyTorch raises the second error over it, which says nothing."""
    graphs.ends_badly = True
    with pytest.raises(torch.OutOfMemoryError, match="tried to allocate 3 GiB") as found:
        capture._record(fail, None, None)
    assert found.value.__notes__ == [
        "while a CUDA graph was recorded, which ended with: CUDA error: operation failed due to a previous "
        "error during capture"
    ]
    assert found.value.__suppress_context__


@ON_CPU
def test_an_error_of_either_kind_alone_is_raised_as_it_is(graphs: type[Graph]) -> None:
    with pytest.raises(torch.OutOfMemoryError, match="3 GiB") as found:
        capture._record(fail, None, None)
    assert not hasattr(found.value, "__notes__")
    replay: Any = capture._record(lambda: None, None, None)
    assert replay == "replay"
    graphs.ends_badly = True
    with pytest.raises(RuntimeError, match="operation failed"):
        capture._record(lambda: None, None, None)


@ON_CPU
def test_after_a_failed_recording_work_goes_on_where_it_was(
    cuda: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_record", lambda work, stream, pool: fail())
    lane, _ = stacked_lane()
    with pytest.raises(torch.OutOfMemoryError):
        lane.train(*next(batches(DATA, RECIPE, 1, 0)))
    assert cuda.current is cuda.main


@ON_CPU
def test_a_trainer_whose_lanes_record(cuda: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    """`train_graphs`, three at a time, gives what it gives without recording."""
    recipe = replace(RECIPE, epochs=1)
    plain, _ = train_graphs(MIXED[:4], DATA, recipe, 1)
    monkeypatch.setattr(
        "nb201env.training.gpu.graphs.Lane",
        lambda *a, **k: recording(Lane(*a, **k), own_stream=k["own_stream"]),
    )
    found, _ = train_graphs(MIXED[:4], DATA, recipe, 1, in_flight=3)
    assert [event[0] for event in cuda.events].count("record") == 4 * 3
    assert_same(found, plain)
