"""Encodings: architectures to numbers a regressor can learn from, as scikit-learn transformers.

Every encoding takes architectures, op numbers [n, 6] in edge order or another form of
`nb201env.surrogate.inputs`, and gives float64 [n, features]. A name such as "paths+graph" stands for
encodings side by side; see `make`.

| name | what it holds | equal within a canonical class |
| --- | --- | --- |
| onehot | which op each edge carries (30) | no |
| canonical | the same of the class's first member (30) | yes |
| paths | how many paths carry each op sequence (40) | yes |
| graph | depth, width, live ops, what stands where (75) | yes |
| cost | params and MACs of all edges, and of the live ones (4) | no |
| livecost | params and MACs of the live convolutions (2) | yes |
| transfer:TABLE:SPLIT:EPOCHS | the class's mean accuracy in another table (1) | yes |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import FeatureUnion

from nb201env import cost
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.space import EDGES, NUM_OPS, OPS, all_ops, encode
from nb201env.surrogate.features import all_graph_features, all_path_features
from nb201env.surrogate.inputs import read
from nb201env.tables import SUFFIX, open_table


class Encoding(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The base of all encodings here: a row of numbers for each of the 15,625 architectures.

    Takes what `nb201env.surrogate.inputs` lists. Gives arrays, or data frames after ``set_output``.

    Attributes:
        n_features_in_: Columns of `X`, once fitted.
        feature_names_in_: Their names, if `X` was a data frame.
    """

    def columns(self) -> tuple[tuple[str, ...], FloatArray]:
        """The features' names, and their values for the whole space, float64 [15625, features]."""
        raise NotImplementedError

    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """Check the architectures and keep the columns' names; there is nothing to learn from them."""
        read(self, X, reset=True)
        return self

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """Architectures, as in `fit`, to features, float64 [n, features]."""
        return self.columns()[1][encode(read(self, X))]

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> npt.NDArray[np.object_]:
        """The names of the features, in order.

        Raises:
            ValueError: If `input_features` are given and not those of `fit`.
        """
        if input_features is not None:
            expected = list(getattr(self, "feature_names_in_", input_features))
            if list(input_features) != expected:
                raise ValueError(f"input_features are not those of fit, {expected}; leave them out")
        return np.asarray(self.columns()[0], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        return tags


class OneHotEncoding(Encoding):
    """Which op each edge carries: 30 zeros and ones, with names such as "edge_0_1=nor_conv_3x3"."""

    def columns(self) -> tuple[tuple[str, ...], FloatArray]:
        """See `Encoding.columns`."""
        names = tuple(f"edge_{source}_{target}={op}" for source, target in EDGES for op in OPS)
        hot = all_ops()[:, :, None] == np.arange(NUM_OPS)
        return names, hot.reshape(len(hot), -1).astype(np.float64)


class CanonicalEncoding(OneHotEncoding):
    """The one-hot encoding of the canonical class's first member, so that all members look alike."""

    def columns(self) -> tuple[tuple[str, ...], FloatArray]:
        """See `Encoding.columns`."""
        names, hot = super().columns()
        return tuple(f"canonical_{name}" for name in names), hot[representatives()][canonical_classes()]


class PathEncoding(Encoding):
    """How many paths from input to output carry each sequence of ops; see `nb201env.surrogate.features`."""

    def columns(self) -> tuple[tuple[str, ...], FloatArray]:
        """See `Encoding.columns`."""
        return all_path_features()


class GraphEncoding(Encoding):
    """Depth, width and live ops of the graph without dead and skipped edges."""

    def columns(self) -> tuple[tuple[str, ...], FloatArray]:
        """See `Encoding.columns`."""
        return all_graph_features()


class CostEncoding(Encoding):
    """Params and MACs of a CIFAR-10 network, in millions.

    Args:
        live_only: Only those of convolutions that reach the output and see the input (equal within
            a canonical class); otherwise those of all edges too, dead ones included.
    """

    def __init__(self, live_only: bool = False) -> None:
        self.live_only = live_only

    def columns(self) -> tuple[tuple[str, ...], FloatArray]:
        """See `Encoding.columns`."""
        live = self._live()
        if self.live_only:
            return ("live_params", "live_macs"), live
        index = np.arange(len(live))
        every = np.stack([cost.params(index, "cifar10"), cost.macs(index, "cifar10")], axis=1) / 1e6
        return ("params", "macs", "live_params", "live_macs"), np.hstack([every, live])

    def _live(self) -> FloatArray:
        names, graph = all_graph_features()
        counts = graph[:, [names.index("live_conv1x1"), names.index("live_conv3x3")]]
        # One convolution alone (index 2 is "…1x1 on the last edge", 3 the 3x3), less the skeleton.
        each = np.stack([f(np.arange(4), "cifar10") for f in (cost.params, cost.macs)], axis=1)
        return np.asarray(counts @ (each[2:4] - each[0]) / 1e6)


class TransferEncoding(Encoding):
    """A known accuracy on another data set: the canonical class's mean there.

    Args:
        table: Name or path of the other table.
        split: Its split.
        epochs: Epochs completed.
    """

    def __init__(self, table: str, split: str, epochs: int) -> None:
        self.table = table
        self.split = split
        self.epochs = epochs

    def columns(self) -> tuple[tuple[str, ...], FloatArray]:
        """See `Encoding.columns`."""
        accuracy = open_table(self.table).accuracy(split=self.split, epochs=self.epochs, run="mean")
        return (f"{self.split}_accuracy_on_{self.table}",), class_mean(accuracy)[:, None]

    def table_id(self) -> str:
        """The id of the other table, for a manifest."""
        return open_table(self.table).id


def class_mean(values: FloatArray) -> FloatArray:
    """The mean over each architecture's canonical class, float64 [15625]; NaN values do not count."""
    classes, known = canonical_classes(), ~np.isnan(values)
    total = np.bincount(classes, np.where(known, values, 0.0))
    count = np.bincount(classes, known)
    means = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return np.asarray(means[classes])


_SIMPLE: dict[str, Any] = {
    "onehot": OneHotEncoding,
    "canonical": CanonicalEncoding,
    "paths": PathEncoding,
    "graph": GraphEncoding,
    "cost": CostEncoding,
    "livecost": lambda: CostEncoding(live_only=True),
}
_TABLE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
NAMES: tuple[str, ...] = (*_SIMPLE, "transfer:TABLE:SPLIT:EPOCHS")


def make(name: str) -> FeatureUnion:
    """The encodings that a name such as "paths+graph" or "graph+transfer:cifar100-200:valid:200" stands for.

    Raises:
        ValueError: If a part of the name is unknown; the message lists the names.
    """
    return FeatureUnion([(part, _one(part)) for part in name.split("+")])


def _one(name: str) -> Encoding:
    if name in _SIMPLE:
        encoding: Encoding = _SIMPLE[name]()
        return encoding
    kind, _, rest = name.partition(":")
    table, *details = rest.rsplit(":", 2)
    if kind == "transfer" and len(details) == 2 and re.fullmatch("[0-9]{1,6}", details[1]):
        return TransferEncoding(table, details[0], int(details[1]))
    raise ValueError(f"unknown encoding {name!r}; use one of {', '.join(NAMES)}, or several joined by '+'")


_MOST_PARTS = 32


def check_stored(name: str, tables: Mapping[str, str]) -> None:
    """Check an encoding that a file names: it must read no other tables than those the file was fitted with.

    Args:
        name: The encoding's name, as for `make`.
        tables: The tables, by name, with their ids. A path is no name: a file from elsewhere must
            not say what is opened.

    Raises:
        ValueError: If a part is unknown or named twice, or a table goes by a path or has another id.
        FileNotFoundError: If there is no table of a name.
    """
    parts = name.split("+")
    if len(set(parts)) < len(parts) or len(parts) > _MOST_PARTS:
        raise ValueError("it names a part twice, or too many")
    for part in map(_one, parts):
        if not isinstance(part, TransferEncoding):
            continue
        if not _TABLE_NAME.fullmatch(part.table) or part.table.endswith(SUFFIX):
            raise ValueError(
                f"it reads the table {part.table!r}, which is a path; only a name may stand there"
            )
        expected = tables.get(part.table)
        if (found := part.table_id()) != expected:
            raise ValueError(
                f"it reads the table {part.table!r} with id {expected}, but here that table has id {found}; "
                "get the same table, or fit again"
            )


def transfer_tables(name: str) -> dict[str, str]:
    """The tables that an encoding's name reads, by name, with their ids."""
    parts = [_one(part) for part in name.split("+")]
    return {part.table: part.table_id() for part in parts if isinstance(part, TransferEncoding)}
