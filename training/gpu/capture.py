"""Training by whole steps: on a GPU each is one CUDA graph, elsewhere the same code just runs.

A step reads and writes tensors that never move: the batch, the weights, the learning rate and two
sums. On a GPU it is recorded once per batch size and then replayed by one call, which takes the
place of hundreds or thousands of kernel launches from Python.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nb201env.architecture import Architecture
from nb201env.training.data import SPLITS, Data, Split, batches, training_split
from nb201env.training.loop import Logs, Result, as_logs, check_finite
from nb201env.training.precision import exact_float32
from nb201env.training.recipe import Recipe

_WARM_UP = 3


class Step(NamedTuple):
    """What is recorded by itself: a kind of step and how many images it takes."""

    training: bool
    images: int


class Lane:
    """One model of K networks on its way through a training; several lanes can be in flight.

    Attributes:
        records: Whether steps are recorded and replayed, as on a GPU, or just run. Set it to False
            before the first step to compare the two.
        correct: Correct images since the last `take`; int64 [K].
        loss: Summed losses since the last `take`; float64 [K].
        rate: The learning rate, read at every step.

    Args:
        model: Maps images [B, C, H, W] to logits [K, B, classes], its networks apart.
        networks: K.
        recipe: How to train.
        data: The images, whose device is the model's.
        dtype: Of automatic mixed precision around the model; float32 is none.
        own_stream: On a GPU: work beside other lanes instead of in turn with them.
    """

    def __init__(
        self, model: nn.Module, networks: int, recipe: Recipe, data: Data,
        dtype: torch.dtype = torch.float32, own_stream: bool = False,
    ) -> None:  # fmt: skip
        device = data.mean.device
        self.model, self.data, self.dtype = model, data, dtype
        self.records = on_gpu = device.type == "cuda"
        # One stream for all that this lane does by itself, and for it alone: warming up, recording, and
        # replaying if it works beside others. cuBLAS keeps a workspace per stream, whose address is in
        # the graph. Lanes with one stream between them would write into each other's, and the end of
        # one lane's graphs would take it from under the other's.
        self.stream: torch.cuda.Stream | None = torch.cuda.Stream(device) if on_gpu else None
        self._aside = self.stream if own_stream else None
        self._pool = torch.cuda.graph_pool_handle() if on_gpu else None
        self.rate = torch.tensor(recipe.learning_rate, device=device)
        self.optimizer = torch.optim.SGD(
            model.parameters(), self.rate, recipe.momentum,
            nesterov=recipe.nesterov, weight_decay=recipe.weight_decay, fused=True,
        )  # fmt: skip
        if recipe.momentum:
            # Zeros are what the first step expects, and made here they have their place in memory before
            # the large tensors of a step come and go.
            for parameter in model.parameters():
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        self.batch = recipe.batch
        self.correct = torch.zeros(networks, dtype=torch.int64, device=device)
        self.loss = torch.zeros(networks, dtype=torch.float64, device=device)
        self._planned = planned_steps(len(training_split(data, recipe).labels), recipe.batch)
        self._recorded: dict[Step, Recorded] = {}

    def restart(self) -> None:
        """Forget the momentum: the model has got new weights."""
        for momentum in self._momentum():
            momentum.zero_()

    def train(self, images: Tensor, labels: Tensor) -> None:
        """One step of the optimizer; adds to `correct` and `loss`."""
        self._run(True, images, labels, labels.new_ones(len(labels), dtype=torch.float32))

    def evaluate(self, split: Split) -> Result:
        """Correct images and mean loss on a split, in evaluation mode."""
        return evaluate([self], split)[0]

    def take(self, images: int) -> Result:
        """The sums since the last call, as correct images and mean loss; then they are zero.

        The current stream waits for this lane, so ask only when all lanes have got their work.
        """
        with self._beside():
            found = self.correct.clone(), self.loss / images
            self.correct.zero_()
            self.loss.zero_()
        if self._aside is not None:
            torch.cuda.current_stream().wait_stream(self._aside)
        return found

    def _run(self, training: bool, images: Tensor, labels: Tensor, weight: Tensor) -> None:
        step = Step(training, len(labels))
        if self.records and step not in self._recorded:
            self._record(step, images)
        with self._beside():
            if self.records:
                self._recorded[step](images, labels, weight)
            else:
                self._step(training, images, labels, weight)
        if self._aside is not None:
            for tensor in (images, labels, weight):
                tensor.record_stream(self._aside)

    @contextlib.contextmanager
    def _beside(self) -> Iterator[None]:
        """Work on this lane's own stream, if it is to, behind what made the inputs."""
        if self._aside is None:
            yield
            return
        self._aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._aside):
            yield

    @exact_float32()
    def _step(self, training: bool, images: Tensor, labels: Tensor, weight: Tensor) -> None:
        self.model.train(training)
        with torch.set_grad_enabled(training):
            with torch.autocast(
                images.device.type, self.dtype, enabled=self.dtype != torch.float32, cache_enabled=False
            ):
                logits = self.model(images).float()
            repeated = labels.repeat(len(logits))
            losses = functional.cross_entropy(logits.flatten(0, 1), repeated, reduction="none")
            losses = losses.view(logits.shape[:2])
        hits = (logits.detach().argmax(dim=-1) == labels) * weight
        self.correct += hits.sum(dim=1).long()
        self.loss += (losses.detach() * weight).double().sum(dim=1)
        if training:
            self.optimizer.zero_grad()
            losses.mean(dim=1).sum().backward()
            self.optimizer.step()

    def _record(self, wanted: Step, images: Tensor) -> None:
        """Record all steps that this training will take, and `wanted` if it is none of them.

        All are warmed up before any is recorded, which decides how many networks fit. A warm-up
        takes its memory from PyTorch's cache. Had a full step been recorded by then, the cache would
        be empty and a step's worth of memory would lie in the graph's pool, out of reach: what fills
        the memory would die on the epoch's last, smaller batch. So the cache is handed back after
        the warm-ups, and the graphs, which never run at the same time, take their memory from one
        pool, the largest first: the others use again what it has left there. (`use_mem_pool` around
        the warm-ups would not do: it holds for one thread, and backward passes have their own.)
        """
        steps = self._planned if wanted in self._planned else [wanted]
        inputs = {step: _blank(step.images, images) for step in steps}
        with _alone_on(self.stream):
            with _put_back(self._state()):
                for step in steps:
                    for _ in range(_WARM_UP):
                        self._step(step.training, *inputs[step])
            self.optimizer.zero_grad()  # gradients are made anew in the graphs' pool
            _empty_cache()
            for step in steps:
                replay = _record(partial(self._step, step.training, *inputs[step]), self.stream, self._pool)
                self._recorded[step] = Recorded(inputs[step], replay)
                self.optimizer.zero_grad()  # their memory is the next graph's too

    def _state(self) -> list[Tensor]:
        """Everything that a step changes."""
        return [*self.model.state_dict().values(), self.correct, self.loss, *self._momentum()]

    def _momentum(self) -> list[Tensor]:
        return [v for s in self.optimizer.state.values() for v in s.values() if isinstance(v, Tensor)]


def planned_steps(images: int, batch: int) -> list[Step]:
    """The steps of a training, the one that needs most memory first.

    Args:
        images: That are trained on.
        batch: Images per step; an epoch's last step takes what is left, an evaluation is filled up.
    """
    sizes = dict.fromkeys((min(images, batch), images % batch or batch))
    return [*(Step(True, size) for size in sizes), Step(False, batch)]


@dataclass(frozen=True)
class Recorded:
    """A recorded step.

    Attributes:
        inputs: The tensors that it reads; they never move.
        replay: Runs it.
    """

    inputs: Sequence[Tensor]
    replay: Callable[[], None]

    def __call__(self, *inputs: Tensor) -> None:
        """Run it on these inputs."""
        for fixed, tensor in zip(self.inputs, inputs, strict=True):
            fixed.copy_(tensor)
        self.replay()


def _blank(count: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels and weights of a batch of this size, laid out as real ones are."""
    images = like.new_zeros((count, *like.shape[1:])).contiguous(memory_format=torch.channels_last)
    return images, like.new_zeros(count, dtype=torch.int64), like.new_ones(count)


@contextlib.contextmanager
def _put_back(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Afterwards the tensors hold what they held before."""
    saved = [tensor.clone() for tensor in tensors]
    yield
    with torch.no_grad():
        for tensor, value in zip(tensors, saved, strict=True):
            tensor.copy_(value)


@contextlib.contextmanager
def _alone_on(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Work on a stream while nothing else does anything, before or after; rare enough for that."""
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):  # also undone if a recording fails, which PyTorch leaves out
        yield
    torch.cuda.synchronize()


def _empty_cache() -> None:
    """Hand back the memory that nothing uses; first what is still under way has to end."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()


def _record(work: Callable[[], None], stream: torch.cuda.Stream | None, pool: Any) -> Callable[[], None]:
    """Record without running; returns what runs it.

    Raises:
        Exception: What `work` raised. PyTorch then ends the recording, and what CUDA says to that
            (that a recording failed) is added as a note, not put in the place of the cause.
    """
    graph = torch.cuda.CUDAGraph()
    cause: Exception | None = None
    try:
        with torch.cuda.graph(graph, pool=pool, stream=stream):
            try:
                work()
            except Exception as error:
                cause = error
                raise
    except Exception as error:
        if cause is None or error is cause:
            raise
        cause.add_note(f"while a CUDA graph was recorded, which ended with: {error}")
        raise cause from None
    finally:
        cause = None  # it holds this frame by its traceback; both would live, with all their tensors
    return graph.replay


def evaluate(lanes: Sequence[Lane], split: Split) -> list[Result]:
    """Correct images and mean loss of all lanes on a split, side by side, in evaluation mode.

    Args:
        lanes: Of one recipe and the same data.
        split: The images.
    """
    count, batch, data = len(split.labels), lanes[0].batch, lanes[0].data
    real = torch.arange(batch, device=split.labels.device)
    for start in range(0, count, batch):
        # The last batch is filled up to the recorded size; what fills it counts for nothing.
        rows = (start + real).clamp_max(count - 1)
        images, labels = data.normalise(split.images[rows]), split.labels[rows]
        weight = (start + real < count).float()
        for lane in lanes:
            lane._run(False, images, labels, weight)
    # Only now: every `take` makes the current stream wait, and with it all that comes after.
    return [lane.take(count) for lane in lanes]


def fit(
    lanes: Sequence[Lane], architectures: Sequence[Sequence[Architecture]], data: Data, recipe: Recipe,
    seed: int,
) -> list[Logs]:  # fmt: skip
    """Train all lanes through the same batches; like `nb201env.training.loop.fit` of each, to rounding.

    Args:
        lanes: Their models hold the starting weights.
        architectures: Of each lane, for messages.
        data: The images.
        recipe: How to train.
        seed: Of the stream of batches.

    Raises:
        DivergedTraining: If a loss stops being a finite number.
    """
    every, trained = [one for some in architectures for one in some], len(training_split(data, recipe).labels)
    epochs: list[list[list[Result]]] = []  # of each epoch, split and lane
    seconds = []
    for epoch in range(recipe.epochs):
        start = time.perf_counter()
        for lane in lanes:
            lane.rate.fill_(recipe.rate(epoch))
        for images, labels in batches(data, recipe, seed, epoch):
            for lane in lanes:
                lane.train(images, labels)
        splits = [[lane.take(trained) for lane in lanes]]
        if data.mean.is_cuda:
            torch.cuda.synchronize(data.mean.device)
        seconds.append((time.perf_counter() - start) / len(every))
        splits += [evaluate(lanes, data.splits[name]) for name in SPLITS[1:]]
        check_finite([_together(split) for split in splits], every, recipe, seed, epoch)
        epochs.append(splits)
    return [
        as_logs([[split[place] for split in epoch] for epoch in epochs], seconds, len(names))
        for place, names in enumerate(architectures)
    ]


def _together(results: Sequence[Result]) -> Result:
    """Results of several lanes as one of all their networks."""
    correct, loss = zip(*results, strict=True)
    return torch.cat(correct), torch.cat(loss)
