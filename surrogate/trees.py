"""What a booster's file may say, checked before XGBoost reads a byte of it.

XGBoost trusts its model files: a child's number that points outside its tree makes it read foreign
memory. So a booster is stored in one fixed form, the UBJSON that XGBoost 3.1 and 3.2 write for the
trees trained here, with every entry in its place. `pack` writes that form, whatever a later XGBoost
adds to its own; `check` lets nothing else pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sized
from functools import cache
from typing import Any

import numpy as np

from nb201env.arrays import Array, IntArray
from nb201env.surrogate.boosting import VARIANCE

_TEXT, _WHOLE, _WHOLES = "a text", "a whole number", "whole numbers"
_FLOATS, _INTS, _LONGS, _BYTES = (np.dtype(kind) for kind in (">f4", ">i4", ">i8", "u1"))
_HEADS = {_FLOATS: b"[$d#L", _INTS: b"[$l#L", _LONGS: b"[$L#L", _BYTES: b"[$U#L"}
_WIDTHS = {b"i": 1, b"I": 2, b"l": 4, b"L": 8}  # of whole numbers, by UBJSON's letter
_NO_PARENT = 2**31 - 1
_LONGEST_TEXT = 64
# Plain decimals that no float overflows: Python's float() would read more than XGBoost does.
_DECIMAL = r"[0-9]{1,20}(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?"
_NUMBER, _BASE_SCORE = re.compile(_DECIMAL), re.compile(rf"\[?-?{_DECIMAL}\]?")
_FEATURES = re.compile(r"[1-9][0-9]{0,5}")

# Entries stand in the order of their names, as XGBoost writes them. A text here is that text.
_TREE: dict[str, Any] = {
    "base_weights": _FLOATS,
    "categories": _INTS,
    "categories_nodes": _INTS,
    "categories_segments": _LONGS,
    "categories_sizes": _LONGS,
    "default_left": _BYTES,
    "id": _WHOLE,
    "left_children": _INTS,
    "loss_changes": _FLOATS,
    "parents": _INTS,
    "right_children": _INTS,
    "split_conditions": _FLOATS,
    "split_indices": _INTS,
    "split_type": _BYTES,
    "sum_hessian": _FLOATS,
    "tree_param": {"num_deleted": _TEXT, "num_feature": _TEXT, "num_nodes": _TEXT, "size_leaf_vector": _TEXT},
}
_CATEGORIES = [name for name in _TREE if name.startswith("categories")]
_PER_NODE = [name for name in _TREE if name not in ("id", "tree_param", *_CATEGORIES)]
_MODEL: dict[str, Any] = {
    "cats": {"enc": [], "feature_segments": _INTS, "sorted_idx": _INTS},
    "gbtree_model_param": {"num_parallel_tree": _TEXT, "num_trees": _TEXT},
    "iteration_indptr": _WHOLES,
    "tree_info": _WHOLES,
    "trees": [_TREE],
}


def _form(objective: str) -> dict[str, Any]:
    """The form of a booster with this objective; only a variance has attributes."""
    learner = {
        "attributes": {"mean": _TEXT} if objective == VARIANCE else {},
        "feature_names": [],
        "feature_types": [],
        "gradient_booster": {"model": _MODEL, "name": _TEXT},
        "learner_model_param": {
            "base_score": _TEXT, "boost_from_average": _TEXT, "num_class": _TEXT, "num_feature": _TEXT,
            "num_target": _TEXT,
        },
        "objective": {"name": _TEXT, "reg_loss_param": {"scale_pos_weight": _TEXT}},
    }  # fmt: skip
    return {"learner": learner, "version": _WHOLES}


def pack(booster: Any, objective: str) -> bytes:
    """A trained booster in the form that `check` lets pass; XGBoost reads it.

    Args:
        booster: An `xgboost.Booster` as `nb201env.surrogate.boosting.train` makes it.
        objective: What it was trained for.

    Raises:
        ValueError: If it is no such booster.
    """
    try:
        content = _written(_form(objective), json.loads(booster.save_raw("json")))
    except KeyError as error:
        raise ValueError(f"the installed XGBoost writes boosters without {error}; install 3.2") from error
    check(content, objective)
    return content


def check(content: bytes, objective: str) -> None:
    """Check that bytes are trees which XGBoost can read and follow without harm.

    Args:
        content: A booster.
        objective: What it should have been trained for.

    Raises:
        ValueError: If they are not; the message says what is wrong with them.
    """
    reader = _Reader(content)
    model = reader.read(_form(objective))
    if reader.at != len(content):
        raise ValueError("something follows its end")
    _check_learner(model["learner"], objective)
    version = model["version"]
    _require(
        len(version) == 3 and version >= [3, 1, 0] and max(version) < 1000 and min(version) >= 0, "version"
    )


# -- the form: writing and reading -----------------------------------------------------------------


def _written(form: Any, value: Any) -> bytes:
    """A value in a form, as UBJSON."""
    if isinstance(form, dict):
        return b"{" + b"".join(_name(name) + _written(one, value[name]) for name, one in form.items()) + b"}"
    if isinstance(form, np.dtype):
        return _HEADS[form] + _size(value) + np.array(value, dtype=form).tobytes()
    if form is _TEXT:
        return b"S" + _name(value)
    if form is _WHOLE:
        letter = next(kind for kind, width in _WIDTHS.items() if abs(value) < 2 ** (8 * width - 1) - 1)
        return letter + int(value).to_bytes(_WIDTHS[letter], "big", signed=True)
    one = _WHOLE if form is _WHOLES else form[0] if form else None
    if one is None and value:
        raise ValueError("a booster of named or categorical features has no place here")
    return b"[#L" + _size(value) + b"".join(_written(one, entry) for entry in value)


def _size(value: Sized) -> bytes:
    return len(value).to_bytes(8, "big")


@cache
def _name(text: str) -> bytes:
    return b"L" + _size(text.encode()) + text.encode()


class _Reader:
    """Reads what stands in a form, and raises at the first byte that does not."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def read(self, form: Any, before: bytes = b"") -> Any:
        """The next value, which must be of this form and stand after the bytes `before`."""
        if isinstance(form, np.dtype):
            self._expect(before + _HEADS[form])
            count = self._count(form.itemsize)
            start = self._skip(count * form.itemsize)
            return np.frombuffer(self.content, form, count, start)
        if isinstance(form, dict):
            self._expect(before + b"{")
            found = {name: self.read(one, _name(name)) for name, one in form.items()}
            self._expect(b"}")
            return found
        if form is _TEXT:
            self._expect(before + b"SL")
            return self._text()
        if form is _WHOLE:
            self._expect(before)
            return self._whole()
        self._expect(before + b"[#L")
        count = self._count(2)  # no entry takes less
        if not form and count:
            raise ValueError("it has named or categorical features, which none trained here has")
        one = _WHOLE if form is _WHOLES else form[0] if form else None
        return [self.read(one) for _ in range(count)]

    def _expect(self, literal: bytes) -> None:
        if not self.content.startswith(literal, self.at):
            raise ValueError(f"at byte {self.at} it is not what XGBoost writes")
        self.at += len(literal)

    def _skip(self, count: int) -> int:
        """Go on by so many bytes, and return where they start."""
        start, self.at = self.at, self.at + count
        if self.at > len(self.content):
            raise ValueError("it is cut short")
        return start

    def _number(self, width: int) -> int:
        start = self._skip(width)
        return int.from_bytes(self.content[start : self.at], "big", signed=True)

    def _count(self, width: int) -> int:
        """How many entries of at least so many bytes follow."""
        count = self._number(8)
        if not 0 <= count * width <= len(self.content) - self.at:
            raise ValueError("it is cut short")
        return count

    def _text(self) -> str:
        count = self._count(1)
        if count > _LONGEST_TEXT:
            raise ValueError("a text is longer than any that XGBoost writes")
        start = self._skip(count)
        return self.content[start : self.at].decode("ascii", "replace")

    def _whole(self) -> int:
        start = self._skip(1)
        width = _WIDTHS.get(self.content[start : self.at])
        if width is None:
            raise ValueError(f"at byte {start} begins no whole number")
        return self._number(width)


# -- the trees -------------------------------------------------------------------------------------


def _check_learner(learner: dict[str, Any], objective: str) -> None:
    booster, parameters = learner["gradient_booster"], learner["learner_model_param"]
    model, trees = booster["model"], booster["model"]["trees"]
    count = {"num_parallel_tree": "1", "num_trees": str(len(trees))}
    _require(booster["name"] == "gbtree", "kind")
    _require(
        learner["objective"] == {"name": objective, "reg_loss_param": {"scale_pos_weight": "1"}}, "objective"
    )
    _require(parameters["num_class"] == "0", "num_class")
    _require(parameters["num_target"] == "1", "num_target")
    _require(parameters["boost_from_average"] in ("0", "1"), "boost_from_average")
    _require(bool(_BASE_SCORE.fullmatch(parameters["base_score"])), "base_score")
    _require(bool(_FEATURES.fullmatch(parameters["num_feature"])), "num_feature")
    if "mean" in learner["attributes"]:
        _require(bool(_NUMBER.fullmatch(learner["attributes"]["mean"])), "mean")
    _require(len(trees) > 0 and model["gbtree_model_param"] == count, "number of trees")
    _require(model["iteration_indptr"] == list(range(len(trees) + 1)), "iteration_indptr")
    _require(model["tree_info"] == [0] * len(trees), "tree_info")
    _require(not len(model["cats"]["feature_segments"]) + len(model["cats"]["sorted_idx"]), "cats")
    _check_trees(trees, int(parameters["num_feature"]))


def _check_trees(trees: list[dict[str, Any]], features: int) -> None:
    """Check all trees at once, with their nodes numbered through."""
    sizes = np.array([len(tree["left_children"]) for tree in trees])
    for number, tree in enumerate(trees):
        own = {"num_deleted": "0", "num_feature": str(features), "num_nodes": str(sizes[number]),
               "size_leaf_vector": "1"}  # fmt: skip
        _require(tree["id"] == number and tree["tree_param"] == own, "tree_param")
        _require({len(tree[name]) for name in _PER_NODE} == {sizes[number]}, "number of nodes")
        _require(not sum(len(tree[name]) for name in _CATEGORIES), "categories")
    _require(int(sizes.min()) > 0, "number of nodes")
    nodes = {name: np.concatenate([tree[name] for tree in trees]) for name in _PER_NODE}
    for name in (name for name in _PER_NODE if _TREE[name] == _FLOATS):
        _require(bool(np.isfinite(nodes[name]).all()), name)
    _inside(nodes["split_indices"], 0, features - 1, "split_indices")
    _inside(nodes["split_type"], 0, 0, "split_type")
    _inside(nodes["default_left"], 0, 1, "default_left")
    left, right, parents = (
        nodes[name].astype(np.int64) for name in ("left_children", "right_children", "parents")
    )
    _check_children(left, right, parents, sizes)


def _check_children(left: IntArray, right: IntArray, parents: IntArray, sizes: IntArray) -> None:
    """Check that every node but a root is a child of exactly one node, which stands before it in its tree."""
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)  # where each node's tree begins
    split = np.flatnonzero(left != -1)
    _require(np.array_equal(split, np.flatnonzero(right != -1)), "children")
    of = np.concatenate([split, split])
    children = np.concatenate([left[split], right[split]]) + start[of]
    _require(bool(((of < children) & (children < start[of] + np.repeat(sizes, sizes)[of])).all()), "children")
    roots = np.flatnonzero(start == np.arange(len(start)))
    _require(np.array_equal(np.sort(np.concatenate([roots, children])), np.arange(len(left))), "children")
    expected = np.full(len(left), _NO_PARENT)
    expected[children] = of - start[of]
    _require(np.array_equal(parents, expected), "parents")


def _inside(values: Array, least: int, most: int, what: str) -> None:
    _require(bool(((values >= least) & (values <= most)).all()), what)


def _require(right: bool, what: str) -> None:
    if not right:
        raise ValueError(f"its {what} cannot be right")
