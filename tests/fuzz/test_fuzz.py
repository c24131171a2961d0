"""The first cases of every kind of spoilt input; ``make fuzz`` tries others for as long as one likes."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS

CASES = {"pickles": 3, "commands": 60, "surrogates": 40}
"""Fewer where a case takes longer."""


@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_inputs_are_refused_by_documented_errors(name: str) -> None:
    fuzz(name, 0, 1e9, CASES.get(name, 150))
