"""What `step` and `reset` are given, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from nb201env.architecture import index_of
from nb201env.arrays import IntArray
from nb201env.fields import quoted
from nb201env.space import NUM_EDGES, NUM_OPS, whole_number, whole_numbers


def one_number(action: Any, below: int) -> int:
    """The action as a plain int, from an int, a numpy integer or an array of one integer."""
    array = np.asarray(action)
    if array.size == 1 and array.dtype.kind in "iu" and 0 <= array.item() < below:
        return int(array.item())
    raise ValueError(f"the action must be one integer in 0..{below - 1}; got {quoted(action)}")


def six_ops(action: Any) -> IntArray:
    """The action as six op numbers; a copy, int64 [6]."""
    rule = f"the action must be {NUM_EDGES} integers in 0..{NUM_OPS - 1}, one per edge"
    ops = whole_numbers(action, NUM_OPS, rule)
    if ops.shape != (NUM_EDGES,):
        raise ValueError(f"{rule}; got an array of shape {ops.shape}")
    return ops.copy()


def checked_seed(seed: Any) -> int | None:
    """The seed as a plain int; Gymnasium refuses NumPy's, and takes True for 1."""
    number = whole_number(seed)
    if seed is not None and (number is None or number < 0):
        raise ValueError(f"a seed is a whole number of at least 0 (or None); got {quoted(seed)}")
    return number


def reset_options(options: dict[str, Any] | None, actions: str) -> tuple[int | None, int | None]:
    """The index of the architecture to start from and the epochs, if `reset` was asked for them."""
    if not options:
        return None, None
    if not set(options) <= {"architecture", "epochs"} or ("architecture" in options and actions != "edit"):
        raise ValueError(
            "reset options: {'epochs': ...}, and {'architecture': ...} only with actions='edit'; "
            f"got {quoted(options)} with actions={actions!r}"
        )
    start, epochs = options.get("architecture"), options.get("epochs")
    number = whole_number(epochs)
    if epochs is not None and number is None:
        raise ValueError(f"reset options: epochs must be an integer; got {quoted(epochs)}")
    return None if start is None else index_of(start), number
