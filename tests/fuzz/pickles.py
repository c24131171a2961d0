"""Damaged pickles raise the documented error and no other, on the fast and on the plain path."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import hypothesis
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nb201env.sources import records
from nb201env.sources.errors import SourceError
from nb201env.sources.pickles.streams import Stream
from nb201env.sources.pickles.types import WITH_WEIGHTS
from nb201env.sources.pickles.unpickle import Unpickler

SEEDS = [
    pickle.dumps(
        OrderedDict(
            {"12": {"all_results": {("cifar10", 1): {0: 0.5, 1: 0.25}}, "x": [np.float64(1), None, True]}}
        ),
        protocol=protocol,
    )
    for protocol in (2, 4)
] + [pickle.dumps({f"x-valid@{i}": i / 7 for i in range(12)}, protocol=protocol) for protocol in (2, 4)]


def only_the_documented_error(data: bytes) -> None:
    for fast in (True, False):
        try:
            value = Unpickler(Stream("fuzz", data), allowed=WITH_WEIGHTS, fast=fast).load()
            records.read(value, file="fuzz", official_index=11)
        except SourceError:
            continue


CASES = st.one_of(
    st.binary(max_size=60),
    st.tuples(
        st.sampled_from(SEEDS),
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
        st.integers(0, 20),
    ),
)
"""Any bytes; or a whole file with some bytes changed and its end cut off."""


def fuzz(examples: int, seed: int) -> None:
    """Read that many damaged inputs, the same for the same seed; fails at the first wrong answer."""

    @hypothesis.seed(seed)
    @settings(max_examples=examples, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(CASES)
    def one(case: Any) -> None:
        if isinstance(case, bytes):
            only_the_documented_error(case)
            return
        data, changes, cut = bytearray(case[0]), case[1], case[2]
        for position, byte in changes:
            data[position % len(data)] = byte
        only_the_documented_error(bytes(data[: len(data) - cut]))

    one()
