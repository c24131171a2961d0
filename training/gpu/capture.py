"""Training by whole steps: on a GPU each is one CUDA graph, elsewhere the same code just runs.

A step reads and writes tensors that never move: the batch, the weights, the learning rate and two
sums. On a GPU it is recorded once per batch size and then replayed by one call, which takes the
place of hundreds or thousands of kernel launches from Python.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nb201env.space import Architecture
from training.data import SPLITS, Data, Split, batches, training_split
from training.loop import Logs, Result, as_logs, check_finite
from training.recipe import Recipe

_WARM_UP = 3


class Lane:
    """One model of K networks on its way through a training; several lanes can be in flight.

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
        self.records = device.type == "cuda"
        self.stream = torch.cuda.Stream(device) if self.records and own_stream else None  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle() if self.records else None
        self.rate = torch.tensor(recipe.learning_rate, device=device)
        self.optimizer = torch.optim.SGD(
            model.parameters(), self.rate, recipe.momentum,
            nesterov=recipe.nesterov, weight_decay=recipe.weight_decay, fused=True,
        )  # fmt: skip
        self.batch = recipe.batch
        self.correct = torch.zeros(networks, dtype=torch.int64, device=device)
        self.loss = torch.zeros(networks, dtype=torch.float64, device=device)
        self._steps: dict[tuple[bool, int], Callable[[Tensor, Tensor, Tensor], None]] = {}

    def restart(self) -> None:
        """Forget the momentum: the model has got new weights."""
        for state in self.optimizer.state.values():
            for value in state.values():
                if isinstance(value, Tensor):
                    value.zero_()

    def train(self, images: Tensor, labels: Tensor) -> None:
        """One step of the optimizer; adds to `correct` and `loss`."""
        self._run(True, images, labels, labels.new_ones(len(labels), dtype=torch.float32))

    def evaluate(self, split: Split) -> Result:
        """Correct images and mean loss on a split, in evaluation mode."""
        count = len(split.labels)
        real = torch.arange(self.batch, device=split.labels.device)
        for start in range(0, count, self.batch):
            # The last batch is filled up to the recorded size; what fills it counts for nothing.
            rows = (start + real).clamp_max(count - 1)
            images = self.data.normalise(split.images[rows])
            self._run(False, images, split.labels[rows], (start + real < count).float())
        return self.take(count)

    def take(self, images: int) -> Result:
        """The sums since the last call, as correct images and mean loss; then they are zero."""
        with self._beside():
            found = self.correct.clone(), self.loss / images
            self.correct.zero_()
            self.loss.zero_()
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
        return found

    def _run(self, training: bool, images: Tensor, labels: Tensor, weight: Tensor) -> None:
        key = training, len(labels)
        with self._beside():
            if key not in self._steps:
                self._steps[key] = self._prepare(training, images, labels, weight)
            self._steps[key](images, labels, weight)
        if self.stream is not None:
            for tensor in (images, labels, weight):
                tensor.record_stream(self.stream)

    @contextlib.contextmanager
    def _beside(self) -> Iterator[None]:
        """Work on this lane's own stream, behind what made the inputs."""
        if self.stream is None:
            yield
            return
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield

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
            losses.mean(dim=1).sum().backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()

    def _prepare(self, training: bool, *batch: Tensor) -> Callable[[Tensor, Tensor, Tensor], None]:
        if not self.records:
            return lambda *batch: self._step(training, *batch)
        return Recorded(lambda *fixed: self._step(training, *fixed), batch, self._state, self._pool)

    def _state(self) -> list[Tensor]:
        """Everything that a step changes."""
        momentum = [v for s in self.optimizer.state.values() for v in s.values() if isinstance(v, Tensor)]
        return [*self.model.state_dict().values(), self.correct, self.loss, *momentum]


class Recorded:
    """A function of tensors as a CUDA graph.

    Recording needs the function to have run (kernels are compiled, memory is found), which
    changes what it changes; so its state is put back, and what state it made is zeroed.

    Args:
        work: The function; it returns nothing and works on tensors that never move.
        inputs: Examples of its arguments.
        state: Gives the tensors that it changes.
        pool: The memory pool of graphs that never run at the same time.
    """

    def __init__(
        self, work: Callable[..., None], inputs: Sequence[Tensor], state: Callable[[], list[Tensor]],
        pool: Any,
    ) -> None:  # fmt: skip
        self.inputs = [tensor.clone() for tensor in inputs]
        before = state()
        saved = [tensor.clone() for tensor in before]
        _warm_up(lambda: work(*self.inputs))
        with torch.no_grad():
            for tensor, value in zip(before, saved, strict=True):
                tensor.copy_(value)
            known = {tensor.data_ptr() for tensor in before}
            for tensor in state():
                if tensor.data_ptr() not in known:
                    tensor.zero_()
        self._replay = _record(lambda: work(*self.inputs), pool)

    def __call__(self, *inputs: Tensor) -> None:
        """Run it on these inputs."""
        for fixed, tensor in zip(self.inputs, inputs, strict=True):
            fixed.copy_(tensor)
        self._replay()


def _warm_up(work: Callable[[], None]) -> None:
    """Run a few times beside the current stream, as PyTorch asks for before recording."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()


def _record(work: Callable[[], None], pool: Any) -> Callable[[], None]:
    """Record without running; returns what runs it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        work()
    return graph.replay


def fit(
    lanes: Sequence[Lane], architectures: Sequence[Sequence[Architecture]], data: Data, recipe: Recipe,
    seed: int,
) -> list[Logs]:  # fmt: skip
    """Train all lanes through the same batches; like `training.loop.fit` of each, to rounding.

    Args:
        lanes: Their models hold the starting weights.
        architectures: Of each lane, for messages.
        data: The images.
        recipe: How to train.
        seed: Of the stream of batches.

    Raises:
        DivergedTraining: If a loss stops being a finite number.
    """
    count, trained = sum(map(len, architectures)), len(training_split(data, recipe).labels)
    epochs: list[list[list[Result]]] = []
    seconds = []
    for epoch in range(recipe.epochs):
        start = time.perf_counter()
        for lane in lanes:
            lane.rate.fill_(recipe.rate(epoch))
        for images, labels in batches(data, recipe, seed, epoch):
            for lane in lanes:
                lane.train(images, labels)
        results = [[lane.take(trained)] for lane in lanes]
        if data.mean.is_cuda:
            torch.cuda.synchronize(data.mean.device)
        seconds.append((time.perf_counter() - start) / count)
        for name in SPLITS[1:]:
            for lane, result in zip(lanes, results, strict=True):
                result.append(lane.evaluate(data.splits[name]))
        for result, names in zip(results, architectures, strict=True):
            check_finite(result, names, recipe, seed, epoch)
        epochs.append(results)
    return [
        as_logs([epoch[lane] for epoch in epochs], seconds, len(names))
        for lane, names in enumerate(architectures)
    ]
