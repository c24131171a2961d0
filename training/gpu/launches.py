"""Every Triton launch of a stacked program, found without a GPU: the model runs on tensors without data.

PyTorch's "meta" device gives tensors shapes, types and addresses, but no memory, and recorders stand
in for the kernels. What is listed is what a GPU would be asked to run. Its `variants` say how much has
to be compiled before a build trains at full speed, and `nb201env.training.gpu.precompile` does so ahead.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch

from nb201env.architecture import Architecture
from nb201env.official import DATASETS, TASKS
from nb201env.space import CONV3X3, NUM_EDGES
from nb201env.training.gpu.codes import Codes
from nb201env.training.gpu.stacked import Stacked
from nb201env.training.gpu.variants import Variant, distinct, kernel_modules, kernels_in, variant_of
from nb201env.training.network import Skeleton
from nb201env.training.recipe import Recipe

CLASSES = 10  # any number: the classifier is PyTorch's


class Launch(NamedTuple):
    """One launch.

    Attributes:
        variant: What has to be compiled for it.
        grid: How many programs, along up to three axes.
    """

    variant: Variant
    grid: tuple[int, ...]


class Images(NamedTuple):
    """What of a task's images decides the launches.

    Attributes:
        train: How many there are to train on.
        side: Their height and width in pixels.
        channels: Their channels.
    """

    train: int
    side: int
    channels: int = 3


_OFFICIAL = {
    name: Images(task.splits["train"].images, DATASETS[task.dataset].image_size)
    for name, task in TASKS.items()
}
IMAGES = _OFFICIAL | {"cifar10-valid-16px": _OFFICIAL["cifar10-valid"]._replace(side=16)}
"""Of the tasks that a GPU is for."""


def find_images(task: str) -> Images:
    """A task's, by name.

    Raises:
        ValueError: If there is no such task; the message lists the names.
    """
    if task not in IMAGES:
        raise ValueError(f"the kernels are listed for the tasks {', '.join(IMAGES)}; got {task!r}")
    return IMAGES[task]


@contextlib.contextmanager
def recorded() -> Iterator[list[Launch]]:
    """Within it, launches of the kernels of `nb201env.training.gpu` are listed and not run.

    Raises:
        ValueError: If the kernels were defined for Triton's interpreter.
    """
    found: list[Launch] = []
    originals = [
        (module, name, kernel) for module in kernel_modules() for name, kernel in kernels_in(module).items()
    ]
    for module, name, kernel in originals:
        setattr(module, name, _Recorder(kernel, found))
    try:
        yield found
    finally:
        for module, name, kernel in originals:
            setattr(module, name, kernel)


class _Recorder:
    def __init__(self, kernel: Any, found: list[Launch]) -> None:
        self.kernel, self.found = kernel, found

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        def launch(*arguments: Any, **keywords: Any) -> None:
            self.found.append(Launch(variant_of(self.kernel, arguments, keywords), tuple(grid)))

        return launch


def launches(
    networks: int, batch: int, skeleton: Skeleton, dtype: torch.dtype = torch.bfloat16, *, training: bool
) -> list[Launch]:
    """All launches of one training step, or of one batch's evaluation, in their order.

    They do not depend on the architectures: those are data.

    Args:
        networks: K, how many are trained at once.
        batch: Images.
        skeleton: The networks' size.
        dtype: Of activations.
        training: A step with its gradients, or an evaluation.

    Raises:
        ValueError: If the kernels were defined for Triton's interpreter.
    """
    anything = [Architecture((CONV3X3,) * NUM_EDGES)] * networks
    with torch.device("meta"):
        model = Stacked(skeleton, Codes.of(anything, "meta"), dtype, "triton").train(training)
        images = torch.empty(batch, skeleton.channels, skeleton.image_size, skeleton.image_size)
    with recorded() as found, torch.set_grad_enabled(training):
        logits = model(images)
        if training:
            logits.square().sum().backward()
    return found


def variants(found: Iterable[Launch]) -> list[Variant]:
    """What has to be compiled for these launches, each once."""
    return distinct(launch.variant for launch in found)


def variants_of_build(
    recipe: Recipe, images: Images, networks: int, dtype: torch.dtype = torch.bfloat16
) -> list[Variant]:
    """What a whole build compiles: training steps, the rest of an epoch, evaluation.

    Args:
        recipe: How it trains.
        images: On what.
        networks: How many at once.
        dtype: Of activations.

    Raises:
        ValueError: If the kernels were defined for Triton's interpreter.
    """
    skeleton = Skeleton(recipe.width, recipe.cells, CLASSES, images.side, images.channels)
    steps = [(recipe.batch, True), (recipe.batch, False)]
    if rest := (recipe.train_images or images.train) % recipe.batch:
        steps.append((rest, True))
    return variants(
        launch
        for batch, training in steps
        for launch in launches(networks, batch, skeleton, dtype, training=training)
    )
