"""Comparing tensors: how far off, how far is allowed, and where it was worst."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor


class Allowed(NamedTuple):
    """How far a tensor may be off.

    Attributes:
        mean: |ours - theirs| / |theirs|, of the whole tensor (2-norms).
        largest: The largest difference of one element, over the root mean square of theirs: it
            sees a single wrong pixel among millions.
    """

    mean: float
    largest: float = math.inf


class Off(NamedTuple):
    """How far off one tensor of one architecture is.

    Attributes:
        tensor: Its name, with its place.
        architecture: Whose it is, as the official string.
        error: How far off; None if it holds something that is not a number.
        allowed: How far is allowed, in the same measure.
        measure: "mean" or "largest", see `Allowed`; "repeat" where two runs must give the same bits.
    """

    tensor: str
    architecture: str
    error: float | None
    allowed: float
    measure: str

    @property
    def ratio(self) -> float:
        """Of what is allowed; above 1 it is wrong."""
        if self.error is None:
            return math.inf
        if self.allowed:
            return self.error / self.allowed
        return math.inf if self.error else 0.0

    def __str__(self) -> str:
        if self.error is None:
            how = "not a number, so something was never written"
        elif self.measure == "repeat":
            how = f"two runs differ by {self.error:.2g} where bits must be equal"
        else:
            how = f"off by {self.error:.2g} where {self.allowed:.2g} is allowed ({self.measure} difference)"
        return f"{self.tensor} of {self.architecture}: {how}"


@dataclass
class Findings:
    """The worst comparison of each kind of tensor.

    Attributes:
        worst: By kind and measure.
        compared: How many tensors there were.
    """

    worst: dict[str, Off] = field(default_factory=dict)
    compared: int = 0

    def compare(
        self, kind: str, ours: Tensor | None, theirs: Tensor, allowed: Allowed, architecture: object,
        place: str = "", usual: float = 0.0,
    ) -> None:  # fmt: skip
        """Note how far one tensor is off.

        Args:
            kind: "out", "d_weight" and so on.
            ours: What the program gave; None, as a gradient that it did not make, counts as zeros.
            theirs: What the plain network gave, of the same shape.
            allowed: How far off it may be.
            architecture: Whose it is.
            place: More words for its name, like the edge.
            usual: The least that differences are measured by; else it is the tensor's own size.
        """
        expected = theirs.detach().float()
        if ours is None:
            off = expected
        else:
            if ours.shape != theirs.shape:
                raise ValueError(f"{kind} has shape {tuple(ours.shape)} and not {tuple(theirs.shape)}")
            off = ours.detach().float() - expected
        scale = max(float(expected.square().mean().sqrt()), usual, _NOTHING)
        mean, largest = (float(t) / scale for t in (off.square().mean().sqrt(), off.abs().max()))
        name = f"{kind} {place}".rstrip()
        for measure, error, most in (("mean", mean, allowed.mean), ("largest", largest, allowed.largest)):
            if most < math.inf:
                finite = error if math.isfinite(error) else None
                self.note(kind, Off(name, str(architecture), finite, most, measure))
        self.compared += 1

    def repeats(self, kind: str, one: Tensor, two: Tensor, architecture: object) -> None:
        """Note whether two runs gave the same bits."""
        if not torch.equal(one, two):
            error = float((one.double() - two.double()).abs().max())
            finite = error if math.isfinite(error) else None
            self.note(kind, Off(kind, str(architecture), finite, 0.0, "repeat"))
        self.compared += 1

    def note(self, kind: str, off: Off) -> None:
        """Keep it if it is the worst of its kind and measure."""
        key = f"{kind} {off.measure}"
        if key not in self.worst or off.ratio > self.worst[key].ratio:
            self.worst[key] = off

    @property
    def closest(self) -> Off | None:
        """What is nearest to its limit, or farthest beyond it."""
        return max(self.worst.values(), key=lambda off: off.ratio, default=None)

    @property
    def wrong(self) -> Off | None:
        """What is farthest beyond its limit; None if nothing is."""
        closest = self.closest
        return closest if closest is not None and closest.ratio > 1 else None


_NOTHING = 1e-6
"""What is smaller than this everywhere is zero: differences from it count as they are."""


@contextmanager
def unwritten_shows() -> Iterator[None]:
    """Fill new tensors with NaN, so that what a kernel fails to write is seen in what is made of it."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    with warnings.catch_warnings():
        # Only the filling is wanted; PyTorch's own operations may warn that they need not repeat.
        warnings.filterwarnings("ignore", message=".*determinis.*")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=warns)
