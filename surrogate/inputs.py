"""What stands for architectures in scikit-learn's `X`: arrays and data frames, of ops or in one column.

| X | holds |
| --- | --- |
| six columns | an op for each edge in edge order: its number, or its name |
| one column | architectures: lexicographic indices, official strings, or what else `Architecture.of` reads |

A Series of pandas or polars is one column. As everywhere in scikit-learn, the columns' names are kept by
`fit` as `feature_names_in_`, and what is handed over later must have the same ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_X_y, validate_data

from nb201env.architecture import index_of
from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.space import NUM_EDGES, NUM_OPS, OPS, SIZE, decode, indices

_NUMBERS: dict[Any, int] = {op: number for number, name in enumerate(OPS) for op in (name, number)}


def read(estimator: Any, X: Any, *, reset: bool = False) -> IntArray:
    """The architectures of `X`, with its columns kept in the estimator, or compared to those kept.

    Args:
        estimator: The regressor or transformer that `X` is for.
        X: As in the module's table, n rows.
        reset: Whether this is `fit`. Otherwise an estimator that needs no fit takes any columns before one.

    Returns:
        Op numbers, int64 [n, 6].

    Raises:
        ValueError: If a row is no architecture, or the columns are others than those of `fit`.
    """
    columns = X.to_frame() if hasattr(X, "to_frame") else X
    ops = read_ops(columns)
    if reset or hasattr(estimator, "n_features_in_"):
        named = columns if hasattr(columns, "columns") else np.asarray(columns)
        validate_data(estimator, named, reset=reset, skip_check_array=True)
    return ops


def read_known(estimator: Any, encoding: str | None, X: Any) -> Array:
    """What a fitted regressor is asked about: as `read`, or features [n, features] if it has no encoding."""
    if encoding is None:
        return np.asarray(validate_data(estimator, X, reset=False))
    return read(estimator, X)


def read_both(
    estimator: Any, encoding: str | None, X: Any, y: Any, *, multi_output: bool = False
) -> tuple[Array, FloatArray]:
    """The same in a regressor's `fit`, and `y`: float64 [n], or with `multi_output` also [n, outputs]."""
    checks = {"y_numeric": True, "multi_output": multi_output}
    if encoding is None:
        known, values = validate_data(estimator, X, y, **checks)
    else:
        known, values = check_X_y(read(estimator, X, reset=True), y, estimator=estimator, **checks)
    # The columns of frames lie apart, and sums in another order have other last bits.
    return known, np.asarray(values, dtype=np.float64, order="C")


def read_ops(X: npt.ArrayLike) -> IntArray:
    """The architectures of an array or a data frame as op numbers, int64 [n, 6].

    Raises:
        ValueError: If the shape is not [n, 6] or [n, 1], or a row is no architecture.
    """
    values = np.asarray(X)
    if values.ndim == 2 and values.shape[1] == 1:
        return decode(_indices(values[:, 0]))
    if values.ndim != 2 or values.shape[1] != NUM_EDGES:
        raise ValueError(
            f"architectures are op numbers of shape [n, {NUM_EDGES}], or one column [n, 1] of indices or "
            f"official strings; got shape {list(values.shape)}"
        )
    if values.dtype.kind in "OSU":
        return _named(values)
    if values.size and not np.isin(values, range(NUM_OPS)).all():
        raise ValueError(f"op numbers are whole numbers in 0..{NUM_OPS - 1}; got others in X")
    return values.astype(np.int64)


def _named(values: Array) -> IntArray:
    """Ops by name, [n, 6]; numbers may stand among them."""
    ops = values.ravel().tolist()
    numbers = [_NUMBERS.get(op) for op in ops]
    if None in numbers:
        wrong = numbers.index(None)
        row, edge = divmod(wrong, NUM_EDGES)
        raise ValueError(
            f"row {row} of X, edge {edge}: {ops[wrong]!r} is no op; ops are numbers in "
            f"0..{NUM_OPS - 1} or {', '.join(OPS)}"
        )
    return np.array(numbers, dtype=np.int64).reshape(values.shape)


def _indices(column: Array) -> IntArray:
    """Lexicographic indices of a column of architectures; whole floats count as whole numbers."""
    if column.dtype.kind == "f":
        broken = np.flatnonzero(~np.isfinite(column) | (column != np.floor(column)))
        if len(broken):
            raise ValueError(
                f"row {broken[0]} of X: the index of an architecture is in 0..{SIZE - 1}, "
                f"a whole number; got {column[broken[0]]:g}"
            )
        column = column.astype(np.int64)
    if column.dtype.kind in "iu":
        return indices(column)
    return np.array([_index(row, value) for row, value in enumerate(column.tolist())], dtype=np.int64)


def _index(row: int, value: Any) -> int:
    try:
        return index_of(value)
    except ValueError as error:
        raise ValueError(f"row {row} of X: {error}") from error
