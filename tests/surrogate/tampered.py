"""Loads many tampered copies of a model, in a process of its own: run by `test_tampering`.

Prints a line before and after each load, so that whoever reads it knows which one killed the process.

    python -m tests.surrogate.tampered model.safetensors
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from xgboost import Booster

from nb201env.container import Container, write
from nb201env.space import SIZE
from nb201env.surrogate.boosting import VALUE, VARIANCE
from nb201env.surrogate.storage import NotASurrogate, load
from nb201env.surrogate.trees import _form, _written

NUMBERS = (-2, -1, 0, 1, 7, 2**31 - 1, -(2**31))
FLOATS = (float("nan"), float("inf"), 3e38, -3e38)
TEXTS = ("", "0", "-1", "2", "1e999", "nan", "99999999999999999999")


def main(path: Path) -> None:
    """Load every tampered copy; print its name, and what came of it."""
    setattr(os, "fsync", lambda _: None)  # noqa: B010  (hundreds of files are written)
    file = Container(path)
    manifest = {key: value for key, value in file.manifest.items() if key != "arrays"}
    arrays = {name: file.array(name) for name in file.manifest["arrays"]}
    with tempfile.TemporaryDirectory() as folder:
        tampered = Path(folder) / "tampered.safetensors"
        for name, objective in (("accuracy.member0", VALUE), ("accuracy.variance", VARIANCE)):
            honest = zlib.decompress(arrays[name].tobytes())
            for what, content in tampering(honest, objective):
                print(f"{name} {what}", end=": ", flush=True)
                packed = np.frombuffer(zlib.compress(content, 1), dtype=np.uint8)
                write(tampered, manifest, arrays | {name: packed})
                try:
                    load(tampered).predict(np.arange(0, SIZE, 7))
                    print("loaded", flush=True)
                except NotASurrogate as refusal:
                    print(f"refused, {str(refusal).partition(': ')[2]}", flush=True)


def tampering(honest: bytes, objective: str) -> Iterator[tuple[str, bytes]]:
    """Other contents than an honest booster's, each with what was done to it."""
    rng = np.random.default_rng(0)
    booster = Booster()
    booster.load_model(bytearray(honest))
    model = json.loads(booster.save_raw("json"))
    for what, other in edited(model):
        if objective == VALUE or "trees" not in what:
            with suppress(OverflowError):  # a number that has no place in an array of bytes
                yield what, _written(_form(objective), other)
    if objective == VARIANCE:
        return
    yield "a chain of 50,001 nodes", _written(_form(objective), chain(model))
    yield "empty", b""
    yield "no object", b"[]"
    yield "twice", honest + honest
    for place in rng.integers(len(honest), size=20):
        yield f"cut at {place}", honest[:place]
    for place in rng.integers(len(honest), size=100):
        yield f"byte {place}", honest[:place] + bytes([rng.integers(256)]) + honest[place + 1 :]
    for place in lengths(honest):
        for count in (-1, 2**31, 2**62):
            yield (
                f"length at {place} is {count}",
                honest[:place] + count.to_bytes(8, "big", signed=True) + honest[place + 8 :],
            )


def lengths(honest: bytes) -> list[int]:
    """Where the counts of some arrays stand."""
    found = [place + 4 for head in (b"[$d#L", b"[$l#L", b"[$U#L", b"[$L#L", b"[#L", b"SL")
             for place in [honest.find(head, len(honest) // 2), honest.find(head)] if place >= 0]  # fmt: skip
    return sorted(set(found))


def edited(model: Any) -> Iterator[tuple[str, Any]]:
    """The model with one entry changed: every entry there is, of one tree in the middle."""
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    for path, value in entries(model):
        if path[4:5] not in ((), (len(trees) // 2,)) and path[3] == "trees":
            continue
        for other in others(value):
            if other != value:
                copy = deepcopy(model)
                inner = copy
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = other
                yield f"{'.'.join(map(str, path))} is {str(other)[:30]}", copy


def entries(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every text, number and list of numbers in a JSON value, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from entries(inner, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for place, inner in enumerate(value):
            yield from entries(inner, (*path, place))
        yield path, value
    else:
        yield path, value


def others(value: Any) -> Iterator[Any]:
    """Other values of the same type."""
    if isinstance(value, str):
        yield from TEXTS
    elif isinstance(value, int):
        yield from NUMBERS
    elif isinstance(value, list):
        yield from ([], value[:-1], value + value[-1:], value[::-1])
        if value and isinstance(value[0], float):
            yield from ([*value[:-1], number] for number in FLOATS)
        elif value and isinstance(value[0], int):
            yield from ([*value[:place], number, *value[place + 1 :]]
                        for place in (0, len(value) // 2, len(value) - 1) for number in NUMBERS)  # fmt: skip


def chain(model: Any) -> Any:
    """The model with one tree that is as deep as it has splits."""
    splits = 25_000
    nodes = 2 * splits + 1
    inner = np.arange(splits)
    left, right, parents = (np.full(nodes, -1) for _ in range(3))
    at = np.concatenate([[0], 2 * inner[:-1] + 1])  # the inner nodes: the root, and each one's left child
    left[at], right[at] = 2 * inner + 1, 2 * inner + 2
    parents[0], parents[left[at]], parents[right[at]] = 2**31 - 1, at, at
    tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
    for name, value in tree.items():
        if isinstance(value, list) and not name.startswith("categories"):
            tree[name] = [0] * nodes
    tree |= {"left_children": left.tolist(), "right_children": right.tolist(), "parents": parents.tolist()}
    tree["tree_param"]["num_nodes"] = str(nodes)
    return model


if __name__ == "__main__":
    main(Path(sys.argv[1]))
